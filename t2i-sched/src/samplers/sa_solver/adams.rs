//! The coefficients of stochastic Adams steps.

use crate::Level;
use crate::samplers::exponential::Variable;
use crate::samplers::linear::solve;
use crate::samplers::seeds::decay;

/// The weight of the straight line in steps of second order in the clean latent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaSecondOrder {
    /// The exact integral.
    Exact,
    /// `(1 + tau^2) h^2 / 2`. <https://arxiv.org/abs/2309.05019>, appendix D
    Simple,
}

/// Adams' method under an exponential weight. <https://arxiv.org/abs/2309.05019>, eq. 15 and 18
#[derive(Debug, Clone, Copy)]
pub(super) struct Adams {
    pub(super) variable: Variable,
    pub(super) second: SaSecondOrder,
}

impl Adams {
    /// The factor of the latent in a step, and the weights of the variable at these levels.
    pub(super) fn weights(&self, from: Level, to: Level, tau: f64, nodes: &[Level]) -> (f64, Vec<f64>) {
        let h = from.h(to);
        let stretch = 1.0 + tau * tau;
        let ratio = to.alpha / from.alpha;
        let (keep, c, gain, whole) = match self.variable {
            Variable::Data => {
                let keep = to.sigma / from.sigma * decay(tau * tau, h);
                (keep, stretch, to.alpha, -to.alpha * (-stretch * h).exp_m1())
            }
            Variable::Noise => (ratio, -1.0, stretch * to.sigma, stretch * (to.sigma - ratio * from.sigma)),
        };
        if nodes.len() == 1 {
            return (keep, vec![whole]);
        }
        // The integrals over v from 0 to h of `c * exp(-c * (h - v)) * v^k`, each from the one before by parts.
        let mut moments = vec![-(-c * h).exp_m1()];
        for k in 1..nodes.len() {
            moments.push(h.powi(k as i32) - k as f64 / c * moments[k - 1]);
        }
        if nodes.len() == 2 && self.variable == Variable::Data && self.second == SaSecondOrder::Simple {
            moments[1] = c * h * h / 2.0;
        }
        let powers = |k: usize| nodes.iter().map(|node| from.h(*node).powi(k as i32)).collect();
        let weights = solve((0..nodes.len()).map(powers).collect(), moments);
        (keep, weights.into_iter().map(|weight| gain * weight).collect())
    }

    /// The deviation of the noise of a step.
    pub(super) fn deviation(&self, from: Level, to: Level, tau: f64) -> f64 {
        match self.variable {
            _ if tau == 0.0 => 0.0,
            Variable::Data => to.sigma * (-(-2.0 * tau * tau * from.h(to)).exp_m1()).max(0.0).sqrt(),
            Variable::Noise => tau * ((to.alpha / from.alpha * from.sigma).powi(2) - to.sigma.powi(2)).max(0.0).sqrt(),
        }
    }
}
