//! The equations that DPM-Solver solves.

use crate::samplers::Fresh;
use crate::samplers::exponential::{Integral, Variable};
use crate::{Level, SharedNoise};

/// Which equation is solved.
#[derive(Debug, Clone)]
pub enum DpmAlgorithm {
    /// The ODE in the noise (`dpmsolver`). <https://arxiv.org/abs/2206.00927>
    Noise,
    /// The ODE in the clean latent (`dpmsolver++`). <https://arxiv.org/abs/2211.01095>
    Data,
    /// The SDE in the noise, drawing once a step (`sde-dpmsolver`).
    NoiseSde(SharedNoise),
    /// The SDE in the clean latent, drawing once a step (`sde-dpmsolver++`). <https://arxiv.org/abs/2211.01095>, app. D
    DataSde(Fresh),
}

/// How the second order corrects the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DpmCorrection {
    /// Half of the first order's weight (`solver_type = midpoint`).
    Midpoint,
    /// The exact integral of a straight line (`solver_type = heun`).
    Heun,
}

impl DpmAlgorithm {
    pub(super) fn variable(&self) -> Variable {
        match self {
            Self::Data | Self::DataSde(_) => Variable::Data,
            Self::Noise | Self::NoiseSde(_) => Variable::Noise,
        }
    }

    /// The coefficients of the exact solution for a constant variable, and the deviation of fresh noise.
    pub(super) fn integral(&self, from: Level, to: Level) -> (Integral, f64) {
        let ode = self.variable().integral(from, to);
        let h = from.h(to);
        match self {
            Self::Data | Self::Noise => (ode, 0.0),
            Self::DataSde(fresh) => {
                let eta_h = if fresh.eta == 0.0 { 0.0 } else { fresh.eta * h }; // where `h` is infinite too
                let u = -h - eta_h;
                let sde = Integral { keep: ode.keep * (-eta_h).exp(), u, whole: -to.alpha * u.exp_m1(), ..ode };
                (sde, to.sigma * (-(-2.0 * eta_h).exp_m1()).max(0.0).sqrt())
            }
            Self::NoiseSde(_) => {
                let sde = Integral { gain: 2.0 * ode.gain, whole: 2.0 * ode.whole, ..ode };
                let stretched = to.alpha / from.alpha * from.sigma; // to.sigma * exp(h), where that is finite too
                (sde, (stretched.powi(2) - to.sigma.powi(2)).max(0.0).sqrt())
            }
        }
    }
}
