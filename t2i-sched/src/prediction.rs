//! What the network's output means.

use burn::tensor::Tensor;

use crate::Level;
use crate::level::scale;

/// What the network predicts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prediction {
    /// The noise `eps`. <https://arxiv.org/abs/2006.11239>
    Epsilon,
    /// The velocity on the circle, `v = alpha * eps - sigma * x0` at variance-preserving levels.
    /// <https://arxiv.org/abs/2202.00512>, appendix D
    V,
    /// The velocity of a straight flow, `eps - x0`. <https://arxiv.org/abs/2210.02747>
    Velocity,
    /// The velocity of a straight flow whose time runs towards the image, `x0 - eps`: Mochi.
    NegativeVelocity,
    /// The clean latent itself.
    Sample,
    /// EDM's `F`, between the clean latent and the noise, of a model whose data have the deviation `sigma_data`:
    /// `x0 = c_skip * x + c_out * F(c_in * x)`. <https://arxiv.org/abs/2206.00364>, eq. 7 and table 1
    Edm {
        /// The deviation of the data, 0.5 in the paper.
        sigma_data: f64,
    },
    /// EDM's `F` with its sign turned, as a velocity has it.
    EdmV {
        /// The deviation of the data, 1 for CosXL.
        sigma_data: f64,
    },
    /// One of the above, of a network that takes latents as they are whatever their level, and of the equation for
    /// variance-preserving levels: what diffusers' multistep classes make of `prediction_type` at flow levels.
    Unscaled(Unscaled),
}

/// What a network of [`Prediction::Unscaled`] predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unscaled {
    /// The noise: `x0 = (x - sigma * eps) / alpha`.
    Epsilon,
    /// `x0 = alpha * x - sigma * v`.
    V,
    /// The clean latent itself.
    Sample,
}

impl Prediction {
    /// The clean latent that `output` stands for, if the network's input was made from `x` at `level`.
    ///
    /// # Shapes
    /// `output`, `x` and the result are `[batch, channels, height, width]`.
    pub fn x0(self, output: Tensor<4>, x: Tensor<4>, level: Level) -> Tensor<4> {
        let Level { alpha, sigma } = level;
        match self {
            Self::Epsilon | Self::Unscaled(Unscaled::Epsilon) => level.x0(x, output),
            Self::Unscaled(Unscaled::V) => scale(x, alpha) - scale(output, sigma),
            Self::V => scale(x, alpha / level.norm().powi(2)) - scale(output, sigma / level.norm()),
            Self::Velocity => unscale(x - scale(output, sigma), alpha + sigma),
            Self::NegativeVelocity => unscale(x + scale(output, sigma), alpha + sigma),
            Self::Sample | Self::Unscaled(Unscaled::Sample) => output,
            Self::Edm { sigma_data } => {
                let Edm { skip, out, .. } = Edm::at(level, sigma_data);
                scale(x, skip) + scale(output, out)
            }
            Self::EdmV { sigma_data } => {
                let Edm { skip, out, .. } = Edm::at(level, sigma_data);
                scale(x, skip) - scale(output, out)
            }
        }
    }

    /// The output that stands for the clean latent `x0`: the inverse of [`x0`](Self::x0), for `sigma > 0`.
    ///
    /// # Shapes
    /// `x0`, `x` and the result are `[batch, channels, height, width]`.
    pub fn output(self, x0: Tensor<4>, x: Tensor<4>, level: Level) -> Tensor<4> {
        let Level { alpha, sigma } = level;
        match self {
            Self::Epsilon | Self::Unscaled(Unscaled::Epsilon) => level.eps(x, x0),
            Self::Unscaled(Unscaled::V) => (scale(x, alpha) - x0).div_scalar(sigma),
            Self::V => scale(x, alpha / (sigma * level.norm())) - scale(x0, level.norm() / sigma),
            Self::Velocity => (x - scale(x0, alpha + sigma)).div_scalar(sigma),
            Self::NegativeVelocity => (scale(x0, alpha + sigma) - x).div_scalar(sigma),
            Self::Sample | Self::Unscaled(Unscaled::Sample) => x0,
            Self::Edm { sigma_data } => {
                let Edm { skip, out, .. } = Edm::at(level, sigma_data);
                (x0 - scale(x, skip)).div_scalar(out)
            }
            Self::EdmV { sigma_data } => {
                let Edm { skip, out, .. } = Edm::at(level, sigma_data);
                (scale(x, skip) - x0).div_scalar(out)
            }
        }
    }

    /// What the network shall answer to `alpha * x0 + sigma * eps`, a latent at `level`, as the factors of `x0` and of
    /// `eps` in it: `target = factors.0 * x0 + factors.1 * eps`. It is finite at every level, but for
    /// [`Unscaled::V`] at `sigma = 0`.
    ///
    /// Training needs it: [`output`](Self::output) says the same of a latent already mixed, and loses precision where
    /// hardly any noise is in it.
    pub fn target(self, level: Level) -> (f64, f64) {
        let Level { alpha, sigma } = level;
        match self {
            Self::Epsilon | Self::Unscaled(Unscaled::Epsilon) => (0.0, 1.0),
            Self::Unscaled(Unscaled::V) => ((alpha.powi(2) - 1.0) / sigma, alpha),
            Self::V => (-sigma / level.norm(), alpha / level.norm()),
            Self::Velocity => (-1.0, 1.0),
            Self::NegativeVelocity => (1.0, -1.0),
            Self::Sample | Self::Unscaled(Unscaled::Sample) => (1.0, 0.0),
            Self::Edm { sigma_data } => Edm::at(level, sigma_data).target(level, sigma_data),
            Self::EdmV { sigma_data } => {
                let (x0, eps) = Edm::at(level, sigma_data).target(level, sigma_data);
                (-x0, -eps)
            }
        }
    }

    /// What the network is fed for the latent `x` at `level`. Diffusion networks have learned latents of unit variance:
    /// `x / sqrt(alpha^2 + sigma^2)`, which is `x` itself at variance-preserving levels, or EDM's
    /// `x / sqrt(alpha^2 * sigma_data^2 + sigma^2)`. Flow networks take `x` as it is.
    ///
    /// # Shapes
    /// `x` and the result are `[batch, channels, height, width]`.
    pub fn input(self, x: Tensor<4>, level: Level) -> Tensor<4> {
        match self {
            Self::Velocity | Self::NegativeVelocity | Self::Unscaled(_) => x,
            Self::Edm { sigma_data } | Self::EdmV { sigma_data } => scale(x, Edm::at(level, sigma_data).input),
            Self::Epsilon | Self::V | Self::Sample if is_one(level.norm()) => x,
            Self::Epsilon | Self::V | Self::Sample => x.div_scalar(single_precision_norm(level)),
        }
    }

    /// The factor that [`input`](Self::input) gives a latent at `level`, for batches whose samples have levels of their
    /// own.
    pub fn input_scale(self, level: Level) -> f64 {
        match self {
            Self::Velocity | Self::NegativeVelocity | Self::Unscaled(_) => 1.0,
            Self::Edm { sigma_data } | Self::EdmV { sigma_data } => Edm::at(level, sigma_data).input,
            Self::Epsilon | Self::V | Self::Sample if is_one(level.norm()) => 1.0,
            Self::Epsilon | Self::V | Self::Sample => 1.0 / single_precision_norm(level),
        }
    }
}

/// `x / factor`, without a pass over memory where the factor is 1 but for its rounding.
fn unscale(x: Tensor<4>, factor: f64) -> Tensor<4> {
    if is_one(factor) { x } else { x.div_scalar(factor) }
}

fn is_one(factor: f64) -> bool {
    (factor - 1.0).abs() < 1e-6
}

/// EDM's preconditioning. At variance-exploding levels these are the paper's `c_in`, `c_skip` and `c_out`.
struct Edm {
    input: f64,
    skip: f64,
    out: f64,
}

impl Edm {
    fn at(level: Level, sigma_data: f64) -> Self {
        let Level { alpha, sigma } = level;
        let variance = sigma.powi(2) + (alpha * sigma_data).powi(2);
        let norm = variance.sqrt();
        Self { input: 1.0 / norm, skip: alpha * sigma_data.powi(2) / variance, out: sigma * sigma_data / norm }
    }

    /// `F` of `alpha * x0 + sigma * eps`, with `sigma` cancelled: it has a value for a clean latent too.
    fn target(&self, level: Level, sigma_data: f64) -> (f64, f64) {
        (level.sigma * self.input / sigma_data, -level.alpha * sigma_data * self.input)
    }
}

/// [`Level::norm`] in the reference's f32 arithmetic. Its last digit matters where a solver takes noise back from a
/// difference of the latent and the clean latent that is a thousand times smaller than its step.
fn single_precision_norm(level: Level) -> f64 {
    let (alpha, sigma) = (level.alpha as f32, level.sigma as f32);
    f64::from((sigma * sigma + alpha * alpha).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    fn all() -> impl Iterator<Item = Prediction> {
        let edm = [Prediction::Edm { sigma_data: 0.5 }, Prediction::EdmV { sigma_data: 1.0 }];
        let unscaled = [Unscaled::Epsilon, Unscaled::V, Unscaled::Sample].map(Prediction::Unscaled);
        let flow = [Prediction::Velocity, Prediction::NegativeVelocity];
        let plain = [Prediction::Epsilon, Prediction::V, Prediction::Sample];
        plain.into_iter().chain(flow).chain(edm).chain(unscaled)
    }

    #[test]
    fn output_inverts_x0() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[0.5f32, -1.0], [2.0, 0.1]]]], &device);
        let output = Tensor::<4>::from_data([[[[-0.3f32, 0.7], [1.5, -2.0]]]], &device);
        for prediction in all() {
            for level in [Level::vp(0.3), Level::ve(3.0), Level::flow(0.6)] {
                let x0 = prediction.x0(output.clone(), x.clone(), level);
                let found = prediction.output(x0, x.clone(), level).into_data();
                found.assert_approx_eq(&output.clone().into_data(), Tolerance::<f32>::absolute(1e-5));
            }
        }
    }

    #[test]
    fn a_target_is_the_output_for_a_mixed_latent() {
        let device = Device::flex();
        let x0 = Tensor::<4>::from_data([[[[0.5f32, -1.0], [2.0, 0.1]]]], &device);
        let eps = Tensor::<4>::from_data([[[[-0.3f32, 0.7], [1.5, -2.0]]]], &device);
        for prediction in all() {
            for level in [Level::vp(0.3), Level::ve(3.0), Level::flow(0.6)] {
                let (of_x0, of_eps) = prediction.target(level);
                let target = x0.clone().mul_scalar(of_x0) + eps.clone().mul_scalar(of_eps);
                let mixed = level.mix(x0.clone(), eps.clone());
                let output = prediction.output(x0.clone(), mixed.clone(), level);
                target.into_data().assert_approx_eq(&output.into_data(), Tolerance::<f32>::absolute(1e-5));
                let input = prediction.input(mixed.clone(), level);
                let scaled = mixed.mul_scalar(prediction.input_scale(level));
                scaled.into_data().assert_approx_eq(&input.into_data(), Tolerance::<f32>::absolute(1e-6));
            }
        }
    }

    #[test]
    fn targets_are_finite_at_both_ends() {
        let plain = all().filter(|prediction| *prediction != Prediction::Unscaled(Unscaled::V));
        for (prediction, level) in plain.flat_map(|p| [(p, Level::CLEAN), (p, Level::vp(0.0))]) {
            let (of_x0, of_eps) = prediction.target(level);
            assert!(of_x0.is_finite() && of_eps.is_finite(), "{prediction:?} at {level:?}");
        }
    }

    #[test]
    fn v_is_the_velocity_on_the_circle() {
        let device = Device::flex();
        let x0 = Tensor::<4>::from_data([[[[0.5f32, -1.0], [2.0, 0.1]]]], &device);
        let eps = Tensor::<4>::from_data([[[[-0.3f32, 0.7], [1.5, -2.0]]]], &device);
        let level = Level::vp(0.3);
        let v = eps.clone().mul_scalar(level.alpha) - x0.clone().mul_scalar(level.sigma);
        let vp = Prediction::V.x0(v.clone(), level.mix(x0.clone(), eps.clone()), level);
        let ve = Prediction::V.x0(v, level.to_ve().mix(x0.clone(), eps), level.to_ve());
        vp.into_data().assert_approx_eq(&x0.clone().into_data(), Tolerance::<f32>::absolute(1e-6));
        ve.into_data().assert_approx_eq(&x0.into_data(), Tolerance::<f32>::absolute(1e-6));
    }

    #[test]
    fn edm_is_one_network_in_all_coordinates() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[0.5f32, -1.0], [2.0, 0.1]]]], &device);
        let output = Tensor::<4>::from_data([[[[-0.3f32, 0.7], [1.5, -2.0]]]], &device);
        let (prediction, level) = (Prediction::Edm { sigma_data: 0.5 }, Level::flow(0.6));
        let (ve, at_ve) = (x.clone().div_scalar(level.alpha), level.to_ve());
        let same = |a: Tensor<4>, b: Tensor<4>| {
            a.into_data().assert_approx_eq(&b.into_data(), Tolerance::<f32>::absolute(1e-5));
        };
        same(prediction.input(x.clone(), level), prediction.input(ve.clone(), at_ve));
        same(prediction.x0(output.clone(), x, level), prediction.x0(output, ve, at_ve));
    }
}
