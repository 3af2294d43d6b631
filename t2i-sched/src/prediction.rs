//! What the network's output means.

use burn::tensor::Tensor;

use crate::Level;
use crate::level::scale;

/// What the network predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prediction {
    /// The noise `eps`. <https://arxiv.org/abs/2006.11239>
    Epsilon,
    /// The velocity on the circle, `v = alpha * eps - sigma * x0` at variance-preserving levels.
    /// <https://arxiv.org/abs/2202.00512>, appendix D
    V,
    /// The velocity of a straight flow, `eps - x0`. <https://arxiv.org/abs/2210.02747>
    Velocity,
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
            Self::Epsilon => level.x0(x, output),
            Self::V => scale(x, alpha / level.norm().powi(2)) - scale(output, sigma / level.norm()),
            Self::Velocity => (x - scale(output, sigma)).div_scalar(alpha + sigma),
            Self::Sample => output,
        }
    }

    /// The output that stands for the clean latent `x0`: the inverse of [`x0`](Self::x0), for `sigma > 0`.
    ///
    /// # Shapes
    /// `x0`, `x` and the result are `[batch, channels, height, width]`.
    pub fn output(self, x0: Tensor<4>, x: Tensor<4>, level: Level) -> Tensor<4> {
        let Level { alpha, sigma } = level;
        match self {
            Self::Epsilon => level.eps(x, x0),
            Self::V => scale(x, alpha / (sigma * level.norm())) - scale(x0, level.norm() / sigma),
            Self::Velocity => (x - scale(x0, alpha + sigma)).div_scalar(sigma),
            Self::Sample => x0,
        }
    }

    /// What the network is fed for the latent `x` at `level`. Diffusion networks have learned latents of unit variance:
    /// `x / sqrt(alpha^2 + sigma^2)`, which is `x` itself at variance-preserving levels. Flow networks take `x` as
    /// it is.
    ///
    /// # Shapes
    /// `x` and the result are `[batch, channels, height, width]`.
    pub fn input(self, x: Tensor<4>, level: Level) -> Tensor<4> {
        let norm = level.norm();
        let already_unit = self == Self::Velocity || (norm - 1.0).abs() < 1e-9;
        if already_unit { x } else { x.div_scalar(single_precision_norm(level)) }
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

    #[test]
    fn output_inverts_x0() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[0.5f32, -1.0], [2.0, 0.1]]]], &device);
        let output = Tensor::<4>::from_data([[[[-0.3f32, 0.7], [1.5, -2.0]]]], &device);
        for prediction in [Prediction::Epsilon, Prediction::V, Prediction::Velocity, Prediction::Sample] {
            for level in [Level::vp(0.3), Level::ve(3.0), Level::flow(0.6)] {
                let x0 = prediction.x0(output.clone(), x.clone(), level);
                let found = prediction.output(x0, x.clone(), level).into_data();
                found.assert_approx_eq(&output.clone().into_data(), Tolerance::<f32>::absolute(1e-5));
            }
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
}
