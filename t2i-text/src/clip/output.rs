//! What a text encoder gives, and which part of it conditions which model.

use burn::tensor::Tensor;
use t2i_core::{Error, Result};

/// The output of a [`ClipTextModel`](crate::ClipTextModel), in f32.
#[derive(Debug, Clone)]
pub struct TextOutput {
    /// The embeddings, then the output of each layer, all before the final norm. `[batch, tokens, dim]`
    pub hidden_states: Vec<Tensor<3>>,
    /// The output of the last layer after the final norm: the context of Stable Diffusion 1 and 2.
    /// `[batch, tokens, dim]`
    pub last_hidden_state: Tensor<3>,
    /// `last_hidden_state` at the end token. `[batch, dim]`
    pub pooled: Tensor<2>,
    /// `pooled` through the projection, if the encoder has one. `[batch, projection_dim]`
    pub text_embeds: Option<Tensor<2>>,
}

impl TextOutput {
    /// The hidden state before the last layer, without the final norm: what Stable Diffusion XL reads of both of its
    /// encoders. `[batch, tokens, dim]`
    ///
    /// # Errors
    /// If the encoder has no layers.
    pub fn penultimate(&self) -> Result<Tensor<3>> {
        self.hidden_from_end(1)
    }

    /// The hidden state `skip` layers before the end, without the final norm; 0 is the last layer's.
    /// `[batch, tokens, dim]`
    ///
    /// Stable Diffusion XL at diffusers' `clip_skip` reads `clip_skip + 1`.
    ///
    /// # Errors
    /// If the encoder has fewer layers.
    pub fn hidden_from_end(&self, skip: usize) -> Result<Tensor<3>> {
        let layers = self.hidden_states.len() - 1;
        match self.hidden_states.iter().nth_back(skip) {
            Some(hidden) => Ok(hidden.clone()),
            None => Err(Error::InvalidValue {
                field: "clip skip",
                value: skip.to_string(),
                expected: format!("at most {layers}, the layers of the text encoder"),
            }),
        }
    }
}
