//! TAESD's own files: an encoder and a decoder, whose tensors have the names of layers in a row.

use burn::tensor::{Device, FloatDType};

use t2i_core::{Result, Weights};

use super::{AutoencoderTiny, AutoencoderTinyConfig};

impl AutoencoderTinyConfig {
    /// A codec with the weights of TAESD's two files, such as `taesd_encoder.safetensors` and
    /// `taesd_decoder.safetensors`.
    ///
    /// # Errors
    /// If a tensor is missing, left over, of another shape, no float, or cannot be read.
    pub fn load_taesd(
        &self,
        encoder: &Weights,
        decoder: &Weights,
        device: &Device,
        dtype: FloatDType,
    ) -> Result<AutoencoderTiny> {
        let AutoencoderTiny { encoder: encoder_module, decoder: decoder_module, .. } = self.init(device);
        let encoder = encoder.clone().rename(|key| Some(local(taesd_encoder_key(key), "encoder.")))?;
        let decoder = decoder.clone().rename(|key| Some(local(taesd_decoder_key(key), "decoder.")))?;
        Ok(AutoencoderTiny {
            encoder: encoder.load(encoder_module, dtype)?,
            decoder: decoder.load(decoder_module, dtype)?,
            ..self.init(device)
        })
    }
}

/// From the name of a tensor in TAESD's encoder file to diffusers'. Other names stay as they are.
///
/// ```
/// assert_eq!(t2i_vae::taesd_encoder_key("1.conv.0.weight"), "encoder.layers.1.conv.0.weight");
/// ```
pub fn taesd_encoder_key(key: &str) -> String {
    layer_key(key, "encoder", 0)
}

/// From the name of a tensor in TAESD's decoder file to diffusers', where the clamp at the start is no layer: numbers
/// are one lower. Other names stay as they are.
///
/// ```
/// assert_eq!(t2i_vae::taesd_decoder_key("19.bias"), "decoder.layers.18.bias");
/// ```
pub fn taesd_decoder_key(key: &str) -> String {
    layer_key(key, "decoder", 1)
}

fn layer_key(key: &str, half: &str, before: usize) -> String {
    let numbered = |(layer, rest): (&str, &str)| {
        let layer = layer.parse::<usize>().ok()?.checked_sub(before)?;
        Some(format!("{half}.layers.{layer}.{rest}"))
    };
    key.split_once('.').and_then(numbered).unwrap_or_else(|| key.to_owned())
}

/// The name within one half of the codec.
fn local(key: String, half: &str) -> String {
    key.strip_prefix(half).map(str::to_owned).unwrap_or(key)
}
