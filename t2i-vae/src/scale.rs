//! Between the latents that a codec makes and those that a network denoises.

use burn::tensor::Tensor;

/// The affine map that gives the latents of a codec mean 0 and variance 1: `(z - shift) * factor`.
///
/// [Rombach et al. 2022](https://arxiv.org/abs/2112.10752), appendix G, for the factor; the shift came with Stable
/// Diffusion 3. Latents that leave this crate are always scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatentScale {
    /// `scaling_factor` of the codec's config, not 0.
    pub factor: f64,
    /// `shift_factor` of the codec's config; 0 where it has none.
    pub shift: f64,
}

impl LatentScale {
    /// `(z - shift) * factor`: from the codec's own latents to scaled ones.
    pub fn apply(&self, z: Tensor<4>) -> Tensor<4> {
        (z - self.shift) * self.factor
    }

    /// `latent / factor + shift`: from scaled latents to the codec's own.
    pub fn undo(&self, latent: Tensor<4>) -> Tensor<4> {
        latent / self.factor + self.shift
    }
}
