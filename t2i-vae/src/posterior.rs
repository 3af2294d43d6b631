//! What a codec says about the latents of a picture.

use burn::tensor::{Tensor, assert_shape};

use crate::LatentScale;

/// The latents that a picture may have: a normal distribution for each of their values, or one certain value.
///
/// [Kingma and Welling 2013](https://arxiv.org/abs/1312.6114), section 3.
#[derive(Debug, Clone)]
pub struct Posterior {
    mean: Tensor<4>,
    log_variance: Option<Tensor<4>>,
    scale: LatentScale,
}

impl Posterior {
    /// A normal distribution; `moments` are the means and then the logarithms of the variances.
    ///
    /// # Shapes
    /// - moments: `[batch, 2 * channels, height, width]`
    pub(crate) fn normal(moments: Tensor<4>, scale: LatentScale) -> Self {
        let [mean, log_variance]: [Tensor<4>; 2] = moments.chunk(2, 1).try_into().expect("an even number of channels");
        // The bounds of CompVis' latent-diffusion, `DiagonalGaussianDistribution`.
        let log_variance = Some(log_variance.clamp(-30.0, 20.0));
        Self { mean, log_variance, scale }
    }

    /// One certain value.
    pub(crate) fn certain(mean: Tensor<4>, scale: LatentScale) -> Self {
        Self { mean, log_variance: None, scale }
    }

    /// Whether [`sample`](Self::sample) depends on the noise it is given.
    pub fn is_random(&self) -> bool {
        self.log_variance.is_some()
    }

    /// The means, not scaled. `[batch, channels, height, width]`
    pub fn mean(&self) -> Tensor<4> {
        self.mean.clone()
    }

    /// The natural logarithms of the variances before scaling, within [-30, 20]; `None` for a codec without chance.
    /// `[batch, channels, height, width]`
    pub fn log_variance(&self) -> Option<Tensor<4>> {
        self.log_variance.clone()
    }

    /// The most likely latent, scaled. `[batch, channels, height, width]`
    pub fn mode(&self) -> Tensor<4> {
        self.scale.apply(self.mean())
    }

    /// A draw, scaled: `mean + std * noise`. Equals [`mode`](Self::mode) for a codec without chance.
    ///
    /// # Shapes
    /// - noise: standard normal, `[draws, channels, height, width]`, where `draws` is the batch of the picture; one
    ///   picture may have any number of draws
    /// - output: `[draws, channels, height, width]`; without chance `[batch, channels, height, width]`
    ///
    /// # Panics
    /// If the noise has another shape.
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = self.mean.dims();
        assert_shape!(noise, [_, channels, height, width]);
        match self.log_variance() {
            Some(log_variance) => self.scale.apply(self.mean() + (log_variance * 0.5).exp() * noise),
            None => self.mode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device};
    use t2i_core::Weights;

    /// Moments up to 90 in size, of which diffusers' DiagonalGaussianDistribution clamps the variances. A deviation
    /// may be e^10: within 2e-6 of the largest value.
    #[test]
    fn log_variances_are_clamped() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/vae/posterior.safetensors");
        let golden = Weights::open(path.as_ref()).expect("golden tensors");
        let of = |name: &str| {
            let data = golden.read(name).expect("a golden tensor");
            Tensor::<4>::from_data(data, (&Device::flex(), DType::F32))
        };
        let posterior = Posterior::normal(of("moments"), LatentScale { factor: 1.0, shift: 0.0 });
        let log_variance = posterior.log_variance().expect("a variance");
        assert_eq!(posterior.mean().into_data(), of("mean").into_data());
        assert_eq!(log_variance.into_data(), of("logvar").into_data());
        let sample = posterior.sample(of("noise"));
        assert!(sample.clone().is_finite().all().into_scalar::<bool>());
        let largest = |t: Tensor<4>| t.abs().max().into_scalar::<f32>();
        let error = largest(sample - of("sample")) / largest(of("sample"));
        assert!(error <= 2e-6, "{error}");
    }
}
