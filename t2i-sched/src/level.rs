//! A noise level: how much image and how much noise a latent holds.

use burn::tensor::Tensor;

/// A noise level. A latent at this level reads `x = alpha * x0 + sigma * eps`.
///
/// | coordinates | constraint | used by |
/// |---|---|---|
/// | variance preserving (VP) | `alpha^2 + sigma^2 = 1` | DDIM, DDPM, PNDM, DPM-Solver, UniPC, LCM |
/// | variance exploding (VE) | `alpha = 1` | Euler, Euler ancestral, Heun |
/// | flow | `alpha + sigma = 1` | flow matching |
///
/// Pure noise is the ordinary value `alpha = 0`, a clean image the ordinary value `sigma = 0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// The factor of the clean latent.
    pub alpha: f64,
    /// The factor of the noise of unit variance.
    pub sigma: f64,
}

impl Level {
    /// No noise.
    pub const CLEAN: Self = Self { alpha: 1.0, sigma: 0.0 };

    /// The variance-preserving level whose share of image variance is `alpha_cumprod` (`alpha^2`), in `[0, 1]`.
    pub fn vp(alpha_cumprod: f64) -> Self {
        Self { alpha: alpha_cumprod.sqrt(), sigma: (1.0 - alpha_cumprod).sqrt() }
    }

    /// [`vp`](Self::vp) with both parts rounded as torch rounds them in f32. Where hardly any image is left, a model of
    /// the noise multiplies what the last bit holds.
    pub(crate) fn vp_f32(alpha_cumprod: f32) -> Self {
        Self { alpha: f64::from(alpha_cumprod.sqrt()), sigma: f64::from((1.0 - alpha_cumprod).sqrt()) }
    }

    /// The variance-preserving level of this variance-exploding `sigma`, rounded as torch rounds it in f32.
    pub(crate) fn vp_of_sigma_f32(sigma: f32) -> Self {
        let alpha = 1.0 / (sigma * sigma + 1.0).sqrt();
        Self { alpha: f64::from(alpha), sigma: f64::from(sigma * alpha) }
    }

    /// The variance-exploding level of standard deviation `sigma`.
    pub fn ve(sigma: f64) -> Self {
        Self { alpha: 1.0, sigma }
    }

    /// The flow-matching level at time `sigma`, in `[0, 1]`.
    pub fn flow(sigma: f64) -> Self {
        Self { alpha: 1.0 - sigma, sigma }
    }

    /// The variance-preserving level at this angle, from 0 for a clean latent to `pi / 2` for pure noise:
    /// `alpha = cos(angle)`, `sigma = sin(angle)`. <https://arxiv.org/abs/2410.11081>, section 3.1
    pub fn trigflow(angle: f64) -> Self {
        Self { alpha: angle.cos(), sigma: angle.sin() }
    }

    /// The variance-preserving level of the same signal-to-noise ratio.
    pub fn to_vp(self) -> Self {
        let norm = self.norm();
        Self { alpha: self.alpha / norm, sigma: self.sigma / norm }
    }

    /// The variance-exploding level of the same signal-to-noise ratio. Its sigma is infinite for pure noise.
    pub fn to_ve(self) -> Self {
        Self::ve(self.sigma / self.alpha)
    }

    /// Half the log of the signal-to-noise ratio, `ln(alpha / sigma)`: minus infinity for pure noise, infinity for a
    /// clean latent.
    pub fn lambda(self) -> f64 {
        self.alpha.ln() - self.sigma.ln()
    }

    /// `h = lambda(to) - lambda(self)`, the length of a step in [`lambda`](Self::lambda); 0 between equal levels.
    pub fn h(self, to: Self) -> f64 {
        if self == to { 0.0 } else { to.lambda() - self.lambda() }
    }

    /// The level on the way to `to`, at `share` of the way in [`lambda`](Self::lambda), in this level's coordinates.
    pub fn toward(self, to: Self, share: f64) -> Self {
        let lambda = self.lambda() + share * self.h(to);
        self.in_coordinates((-lambda).exp())
    }

    /// The level whose `sigma / alpha` is this, in this level's coordinates: variance exploding, flow or variance
    /// preserving.
    pub(crate) fn in_coordinates(self, sigma: f64) -> Self {
        if self.alpha == 1.0 && self.sigma > 0.0 {
            Self::ve(sigma)
        } else if (self.alpha + self.sigma - 1.0).abs() < 1e-9 && self.sigma > 0.0 && self.alpha > 0.0 {
            Self::flow(sigma / (1.0 + sigma))
        } else {
            Self::ve(sigma).to_vp()
        }
    }

    /// The standard deviation of a latent at this level, for data of unit variance: `sqrt(alpha^2 + sigma^2)`.
    pub fn norm(self) -> f64 {
        self.alpha.hypot(self.sigma)
    }

    /// Whether no noise is left.
    pub fn is_clean(self) -> bool {
        self.sigma == 0.0
    }

    /// The latent at this level: `alpha * x0 + sigma * eps`.
    ///
    /// # Shapes
    /// `x0`, `eps` and the result are `[batch, channels, height, width]`.
    pub fn mix(self, x0: Tensor<4>, eps: Tensor<4>) -> Tensor<4> {
        if self.is_clean() {
            return scale(x0, self.alpha);
        }
        scale(x0, self.alpha) + scale(eps, self.sigma)
    }

    /// The noise in `x`, a latent at this level, if the clean latent is `x0`: `(x - alpha * x0) / sigma`.
    ///
    /// # Shapes
    /// `x`, `x0` and the result are `[batch, channels, height, width]`.
    pub fn eps(self, x: Tensor<4>, x0: Tensor<4>) -> Tensor<4> {
        (x - scale(x0, self.alpha)).div_scalar(self.sigma)
    }

    /// The clean latent in `x`, a latent at this level, if its noise is `eps`: `(x - sigma * eps) / alpha`.
    ///
    /// # Shapes
    /// `x`, `eps` and the result are `[batch, channels, height, width]`.
    pub fn x0(self, x: Tensor<4>, eps: Tensor<4>) -> Tensor<4> {
        let x0 = x - scale(eps, self.sigma);
        if self.alpha == 1.0 { x0 } else { x0.div_scalar(self.alpha) }
    }

    /// Takes `x` from this level to level `to`, if its clean latent is `x0`: `to.mix(x0, self.eps(x, x0))`, one Euler
    /// step.
    ///
    /// Where both levels hold as much image, as at variance-exploding ones, it is computed as
    /// `x + (to.sigma - sigma) * eps`. That is the reference's order of operations, whose rounding is all that one sees
    /// of a step down from a sigma in the thousands.
    ///
    /// # Shapes
    /// `x`, `x0` and the result are `[batch, channels, height, width]`.
    pub fn advance(self, x: Tensor<4>, x0: Tensor<4>, to: Self) -> Tensor<4> {
        let eps = self.eps(x.clone(), x0.clone());
        if self.alpha == to.alpha {
            return x + scale(eps, to.sigma - self.sigma);
        }
        to.mix(x0, eps)
    }

    /// Moves `x` from this level to level `to` along the direction `eps`: `to.mix(self.x0(x, eps), eps)`, which is
    /// one Euler step of the probability-flow ODE in the coordinates of the levels.
    ///
    /// # Shapes
    /// `x`, `eps` and the result are `[batch, channels, height, width]`.
    pub fn transfer(self, x: Tensor<4>, eps: Tensor<4>, to: Self) -> Tensor<4> {
        let ratio = to.alpha / self.alpha;
        scale(x, ratio) + scale(eps, to.sigma - ratio * self.sigma)
    }
}

/// `x * factor`, without a pass over memory where the factor is 1.
pub(crate) fn scale(x: Tensor<4>, factor: f64) -> Tensor<4> {
    if factor == 1.0 { x } else { x.mul_scalar(factor) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tolerance};

    fn tensor(values: [f32; 4]) -> Tensor<4> {
        Tensor::<1>::from_data(values, &Device::flex()).reshape([1, 1, 2, 2])
    }

    #[test]
    fn mix_and_eps_and_x0_invert_each_other() {
        let (x0, eps) = (tensor([0.5, -1.0, 2.0, 0.1]), tensor([-0.3, 0.7, 1.5, -2.0]));
        for level in [Level::vp(0.3), Level::ve(14.6), Level::flow(0.8)] {
            let x = level.mix(x0.clone(), eps.clone());
            let tolerance = Tolerance::<f32>::absolute(1e-5);
            level.eps(x.clone(), x0.clone()).into_data().assert_approx_eq(&eps.clone().into_data(), tolerance);
            level.x0(x, eps.clone()).into_data().assert_approx_eq(&x0.clone().into_data(), tolerance);
        }
    }

    #[test]
    fn transfer_is_mix_of_x0() {
        let (x, eps) = (tensor([0.5, -1.0, 2.0, 0.1]), tensor([-0.3, 0.7, 1.5, -2.0]));
        let (from, to) = (Level::vp(0.3), Level::vp(0.6));
        let expected = to.mix(from.x0(x.clone(), eps.clone()), eps.clone());
        let found = from.transfer(x, eps, to).into_data();
        found.assert_approx_eq(&expected.into_data(), Tolerance::<f32>::absolute(1e-6));
    }

    #[test]
    fn advance_is_mix_of_eps() {
        let (x, x0) = (tensor([0.5, -1.0, 2.0, 0.1]), tensor([-0.3, 0.7, 1.5, -2.0]));
        for (from, to) in [(Level::vp(0.3), Level::vp(0.6)), (Level::ve(3.0), Level::ve(2.0))] {
            let expected = to.mix(x0.clone(), from.eps(x.clone(), x0.clone()));
            let found = from.advance(x.clone(), x0.clone(), to).into_data();
            found.assert_approx_eq(&expected.into_data(), Tolerance::<f32>::absolute(1e-6));
        }
    }

    #[test]
    fn lambda_has_its_limits() {
        assert_eq!(Level::vp(0.0).lambda(), f64::NEG_INFINITY);
        assert_eq!(Level::CLEAN.lambda(), f64::INFINITY);
        assert_eq!(Level::vp(0.5).lambda(), 0.0);
        assert_eq!(Level::CLEAN.h(Level::CLEAN), 0.0);
    }

    #[test]
    fn half_way_is_the_geometric_mean() {
        let (from, to) = (Level::ve(8.0), Level::ve(2.0));
        assert!((from.toward(to, 0.5).sigma - 4.0).abs() < 1e-14);
        for (from, to) in [(Level::vp(0.1), Level::vp(0.7)), (Level::flow(0.9), Level::flow(0.2))] {
            let middle = from.toward(to, 0.5);
            assert!((middle.lambda() - (from.lambda() + to.lambda()) / 2.0).abs() < 1e-12);
        }
        assert!((Level::flow(0.9).toward(Level::flow(0.2), 0.3).norm() - 1.0).abs() > 0.1);
        assert!((Level::vp(0.1).toward(Level::vp(0.7), 0.3).norm() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn coordinates_keep_lambda() {
        let level = Level::vp(0.2);
        assert!((level.to_ve().lambda() - level.lambda()).abs() < 1e-12);
        assert!((level.to_ve().to_vp().alpha - level.alpha).abs() < 1e-12);
    }
}
