//! Pictures as the codec sees them.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use t2i::core::{Checkpoint, Part};
use t2i::vae::{Codec, CodecConfig};

/// Cells along each side of the grid over which latents are averaged.
const GRID: usize = 4;

/// The codec of a model, which gives pictures their features.
pub(crate) struct Features {
    codec: Codec,
    device: Device,
    /// The side of the model's pictures, in pixels.
    pub(crate) size: usize,
}

impl Features {
    /// # Errors
    /// If the codec cannot be loaded, or the model's latents have no whole cells.
    pub(crate) fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self, t2i::Error> {
        let config = CodecConfig::from_options(checkpoint.options(Part::Vae)?)?;
        let codec = config.load(&checkpoint.weights(Part::Vae)?, device, FloatDType::F32)?;
        let side: usize = checkpoint.options(Part::Unet)?.require("sample_size")?;
        match side > 0 && side.is_multiple_of(GRID) {
            true => Ok(Self { size: side * codec.factor(), codec, device: device.clone() }),
            false => Err(t2i::Error::InvalidValue {
                field: "sample_size",
                value: side.to_string(),
                expected: format!("a multiple of {GRID}"),
            }),
        }
    }

    /// The latent of each picture, channel by channel averaged over a grid.
    pub(crate) fn of(&self, pictures: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let latents = self.codec.encode(self.tensor(pictures)).mode();
        let [count, channels, height, width] = latents.dims();
        let cells = latents.reshape([count, channels, GRID, height / GRID, GRID, width / GRID]);
        // [count, channels, rows, 1, columns, 1]
        each(cells.mean_dim(5).mean_dim(3).reshape([count, channels, GRID, GRID]))
    }

    /// The pictures, encoded and decoded again.
    pub(crate) fn through_the_codec(&self, pictures: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, t2i::Error> {
        let latents = self.codec.encode(self.tensor(pictures)).mode();
        Ok(each(self.codec.decode(latents).clamp(-1.0, 1.0)))
    }

    /// `[pictures, 3, size, size]`
    fn tensor(&self, pictures: &[Vec<f32>]) -> Tensor<4> {
        let shape = [pictures.len(), 3, self.size, self.size];
        Tensor::from_data(TensorData::new(pictures.concat(), shape), &self.device)
    }
}

/// The values of each member of a batch.
pub(crate) fn each(batch: Tensor<4>) -> Vec<Vec<f32>> {
    let length = batch.dims()[1..].iter().product();
    let values: Vec<f32> = batch.into_data().iter().collect();
    values.chunks(length).map(<[f32]>::to_vec).collect()
}
