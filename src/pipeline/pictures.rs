//! What a run gives.

use burn::tensor::{Tensor, TensorData};

/// Finished pictures, and what they were made of.
#[derive(Debug, Clone)]
pub struct Pictures {
    /// In [-1, 1]. `[images, 3, height, width]`
    pub pixels: Tensor<4>,
    /// The latents that were decoded. `[images, 4, height / 8, width / 8]`
    pub latents: Tensor<4>,
    /// The noise of unit variance that the run started from; absent where it took over from another model.
    /// `[images, 4, height / 8, width / 8]`
    pub noise: Option<Tensor<4>>,
    /// The encoded prompts. `[images, tokens, dim]`
    pub context: Tensor<3>,
    /// The pooled prompts, XL only. `[images, dim]`
    pub pooled: Option<Tensor<2>>,
}

impl Pictures {
    /// Every tensor by its name, f32; the pixels as `image` in [0, 1].
    pub fn tensors(&self) -> Vec<(&'static str, TensorData)> {
        let image = self.pixels.clone().mul_scalar(0.5).add_scalar(0.5).clamp(0.0, 1.0);
        let mut tensors = vec![
            ("context", self.context.clone().into_data()),
            ("latents", self.latents.clone().into_data()),
            ("image", image.into_data()),
        ];
        tensors.extend(self.noise.iter().map(|noise| ("noise", noise.clone().into_data())));
        tensors.extend(self.pooled.iter().map(|pooled| ("pooled", pooled.clone().into_data())));
        tensors
    }
}
