//! The equations that DPM-Solver solves.

use burn::tensor::Tensor;

use crate::level::scale;
use crate::samplers::Fresh;
use crate::samplers::exponential::{Integral, Variable};
use crate::{Level, Noise, SharedNoise};

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

/// What the scalars of a step are made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalars {
    Double,
    Single,
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

    /// [`integral`](Self::integral), but in f32 that of the ODE.
    pub(super) fn integral_in(&self, scalars: Scalars, from: Level, to: Level) -> (Integral, f64) {
        match scalars {
            Scalars::Double => self.integral(from, to),
            Scalars::Single => (self.ode_in_f32(from, to), 0.0),
        }
    }

    /// The coefficients of the ODE with all scalars in f32, from the two variance-exploding sigmas.
    fn ode_in_f32(&self, from: Level, to: Level) -> Integral {
        let ode = self.variable().integral(from, to);
        let parts = |level: Level| {
            let sigma = level.to_ve().sigma as f32;
            let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
            (alpha, sigma * alpha)
        };
        let ((alpha_0, sigma_0), (alpha, sigma)) = (parts(from), parts(to));
        let h = (alpha.ln() - sigma.ln()) - (alpha_0.ln() - sigma_0.ln());
        if !h.is_finite() {
            return ode;
        }
        let (keep, gain, u) = match self.variable() {
            Variable::Data => (sigma / sigma_0, -alpha, -h),
            Variable::Noise => (alpha / alpha_0, -sigma, h),
        };
        let whole = gain * (u.exp() - 1.0);
        Integral { keep: keep.into(), gain: gain.into(), u: u.into(), whole: whole.into() }
    }

    /// `x` and the noise of a step.
    pub(super) fn add_noise(&mut self, x: Tensor<4>, from: Level, to: Level, deviation: f64) -> Tensor<4> {
        match self {
            Self::DataSde(fresh) => fresh.add(x, from, to, deviation),
            Self::NoiseSde(noise) => {
                let noise = noise.between(from, to, x.dims(), &x.device());
                x + scale(noise, deviation)
            }
            Self::Data | Self::Noise => x,
        }
    }
}
