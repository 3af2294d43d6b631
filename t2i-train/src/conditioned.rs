//! The two networks that learn together what a caption means.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use t2i_core::{Error, Result};
use t2i_sched::Counter;
use t2i_text::ClipTextModel;
use t2i_unet::{Conditioning, UNet};

use crate::{DiffusionLoss, SampledLevels};

/// A UNet and the text encoder that it is conditioned by, trained as one.
#[derive(Module, Debug)]
pub struct Conditioned {
    /// Predicts, as it is told by the text.
    pub unet: UNet,
    /// Reads the text.
    pub text_encoder: ClipTextModel,
}

/// What one step of a diffusion model is made of.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Clean latents, scaled. `[batch, channels, height, width]`
    pub x0: Tensor<4>,
    /// Noise of unit variance, as `x0`.
    pub eps: Tensor<4>,
    /// A noise level for each sample.
    pub levels: SampledLevels,
    /// The token ids of each caption, all of one length.
    pub captions: Vec<Vec<u32>>,
}

impl Batch {
    /// The batch in `parts` of equal size.
    ///
    /// # Errors
    /// If its size is not a multiple of `parts`.
    pub fn split(self, parts: usize) -> Result<Vec<Self>> {
        let size = self.captions.len();
        if parts == 0 || !size.is_multiple_of(parts) {
            let expected = format!("a divisor of the {size} samples of a batch");
            return Err(Error::InvalidValue { field: "shards", value: parts.to_string(), expected });
        }
        let each = size / parts;
        let part = |i: usize| {
            let range = i * each..(i + 1) * each;
            Self {
                x0: self.x0.clone().slice(range.clone()),
                eps: self.eps.clone().slice(range.clone()),
                levels: self.levels.slice(range.clone()),
                captions: self.captions[range].to_vec(),
            }
        };
        Ok((0..parts).map(part).collect())
    }
}

impl Conditioned {
    /// The loss of a batch. `[1]`
    ///
    /// # Panics
    /// If the parts of the batch are not of one length, or a caption has an id or a length that the encoder has not.
    pub fn loss(&self, loss: &DiffusionLoss, batch: Batch) -> Tensor<1> {
        let device = batch.x0.device();
        let context = self.text_encoder.forward(ids(&batch.captions, &device)).last_hidden_state;
        let levels = &batch.levels.levels;
        let x = loss.noisy(batch.x0.clone(), batch.eps.clone(), levels);
        let output = self.unet.forward(x, batch.levels.timesteps(&device), &Conditioning::text(context));
        loss.forward(output, batch.x0, batch.eps, levels)
    }
}

/// The noise of step `step`: no other step's, and the same whenever it is asked for.
///
/// # Shapes
/// - output: `shape`, `[batch, channels, height, width]`
pub fn step_noise(seed: u64, step: u64, shape: [usize; 4], device: &Device) -> Tensor<4> {
    use t2i_sched::Noise;
    let mut noise = Counter::new(seed, 0);
    noise.seek(step);
    noise.sample(shape, device)
}

/// `[batch, tokens]`
fn ids(captions: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let length = captions.first().map_or(0, Vec::len);
    let ids: Vec<_> = captions.iter().flatten().map(|id| i64::from(*id)).collect();
    Tensor::from_data(TensorData::new(ids, [captions.len(), length]), device)
}
