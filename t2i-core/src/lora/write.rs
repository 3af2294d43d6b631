//! LoRA files, as diffusers and as kohya's scripts write them. The readers of either, A1111 and ComfyUI among them, read
//! both.

use std::path::Path;

use burn::tensor::{FloatDType, TensorData};

use super::name::flat;
use crate::{Error, Family, Part, Result, Weights};

/// The change of one layer that was learned: `W += alpha / rank * up down`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraLayer {
    /// The part of the model.
    pub part: Part,
    /// The layer's path in the model, such as `mid_block.attentions.0.proj_in`.
    pub path: String,
    /// `[rank, in]`, or `[rank, in, height, width]` for a convolution.
    pub down: TensorData,
    /// `[out, rank]`, or `[out, rank, 1, 1]` for a convolution.
    pub up: TensorData,
    /// The rank, if the change is `up down` itself.
    pub alpha: f64,
}

/// Whose names the tensors of a LoRA file have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoraFormat {
    /// diffusers' and PEFT's: `unet.mid_block.attentions.0.proj_in.lora_A.weight`.
    ///
    /// `up` holds the scale, so that readers with and without a use for alphas agree.
    Diffusers,
    /// Those of kohya's scripts: `lora_unet_mid_block_attentions_0_proj_in.lora_down.weight`, with alphas. The first
    /// text encoder has another name in XL than in other families.
    Kohya(Family),
}

impl LoraFormat {
    /// Writes a file of that format, its tensors as `dtype`.
    ///
    /// # Errors
    /// If there is no layer, or one appears twice; if halves are no floats or do not fit each other; if the file
    /// cannot be written, and what was there then stays as it was.
    pub fn write(self, path: impl AsRef<Path>, layers: &[LoraLayer], dtype: FloatDType) -> Result<()> {
        let path = path.as_ref();
        if layers.is_empty() {
            return Err(Error::corrupt(path, "there is no layer to write"));
        }
        let tensors = layers.iter().map(|layer| self.tensors(path, layer)).collect::<Result<Vec<_>>>()?;
        let weights = Weights::from_data(&path.display().to_string(), tensors.into_iter().flatten())?;
        weights.write(path, dtype, &[("format", "pt")])
    }

    fn tensors(self, path: &Path, layer: &LoraLayer) -> Result<Vec<(String, TensorData)>> {
        let rank =
            layer.rank().ok_or_else(|| Error::corrupt(path, format!("the halves of `{}` do not fit", layer.path)))?;
        let (down, up) = (layer.down.clone(), layer.up.clone());
        Ok(match self {
            Self::Diffusers => {
                let stem = format!("{}.{}", layer.part, layer.path);
                let up = scaled(path, up, layer.alpha / rank as f64)?;
                vec![(format!("{stem}.lora_A.weight"), down), (format!("{stem}.lora_B.weight"), up)]
            }
            Self::Kohya(family) => {
                let stem = format!("{}_{}", kohya_prefix(layer.part, family), flat(&layer.path));
                let alpha = TensorData::new(vec![layer.alpha as f32], [0usize; 0]);
                vec![
                    (format!("{stem}.lora_down.weight"), down),
                    (format!("{stem}.lora_up.weight"), up),
                    (format!("{stem}.alpha"), alpha),
                ]
            }
        })
    }
}

impl LoraLayer {
    /// The rank, if the halves agree on one.
    fn rank(&self) -> Option<usize> {
        let rank = *self.down.shape().first().filter(|rank| **rank > 0)?;
        (self.up.shape().get(1) == Some(&rank)).then_some(rank)
    }
}

fn kohya_prefix(part: Part, family: Family) -> &'static str {
    match (part, family.is_xl()) {
        (Part::TextEncoder, false) => "lora_te",
        (Part::TextEncoder, true) => "lora_te1",
        (Part::TextEncoder2, _) => "lora_te2",
        _ => "lora_unet",
    }
}

fn scaled(path: &Path, data: TensorData, scale: f64) -> Result<TensorData> {
    let shape = data.shape().clone();
    let values: Vec<f32> = data.try_into_vec_as().map_err(|e| Error::corrupt(path, e))?;
    Ok(TensorData::new(values.into_iter().map(|value| (f64::from(value) * scale) as f32).collect(), shape))
}
