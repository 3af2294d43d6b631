//! The normalisation of UniPC, and the weights that follow from it.

use crate::samplers::linear::solve;

/// The function `B(h)` that normalises the coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniPcNorm {
    /// `B_1(h) = h` (`solver_type = bh1`).
    Bh1,
    /// `B_2(h) = e^h - 1` (`solver_type = bh2`).
    Bh2,
}

impl UniPcNorm {
    /// `B(u)`.
    pub(super) fn of(self, u: f64) -> f64 {
        match self {
            Self::Bh1 => u,
            Self::Bh2 => u.exp_m1(),
        }
    }

    /// The solution of `sum_k weight_k * r_k^(i-1) = b_i` for `i` from 1 to `order`.
    /// <https://arxiv.org/abs/2302.04867>, eq. 6
    pub(super) fn weights(self, rates: &[f64], u: f64, order: usize) -> Vec<f64> {
        let rows = (0..order as i32).map(|i| rates.iter().map(|r| r.powi(i)).collect());
        let mut phi = u.exp_m1() / u - 1.0;
        let mut factorial = 1.0;
        let mut right = Vec::new();
        for i in 1..=order {
            right.push(phi * factorial / self.of(u));
            factorial *= (i + 1) as f64;
            phi = phi / u - 1.0 / factorial;
        }
        solve(rows.collect(), right)
    }
}
