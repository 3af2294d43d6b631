//! The text encoder of CLIP and OpenCLIP: a causal transformer. [Radford et al. 2021](https://arxiv.org/abs/2103.00020)

mod config;
mod layer;
mod learned;
mod output;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData, assert_shape};
use t2i_core::{Error, Result};
use t2i_kernels::ops::{arithmetic, in_pool, layer_norm, linear};

pub use config::{Activation, ClipTextConfig, EndToken};
use layer::Layer;
pub use output::TextOutput;

/// A CLIP text encoder, with a projection or without. The fields are the keys of the checkpoint.
#[derive(Module, Debug)]
pub struct ClipTextModel {
    text_model: TextTransformer,
    text_projection: Option<Linear>,
    #[module(skip)]
    end_token: EndToken,
}

#[derive(Module, Debug)]
struct TextTransformer {
    embeddings: Embeddings,
    encoder: Encoder,
    final_layer_norm: LayerNorm,
    /// Of the last norm.
    epsilon: f64,
}

#[derive(Module, Debug)]
struct Embeddings {
    token_embedding: Embedding,
    position_embedding: Embedding,
}

#[derive(Module, Debug)]
struct Encoder {
    layers: Vec<Layer>,
}

impl ClipTextConfig {
    /// Makes an encoder whose weights are still to be loaded.
    pub fn init(&self, device: &Device) -> ClipTextModel {
        let embedding = |count| EmbeddingConfig::new(count, self.hidden_size).init(device);
        let projection = |dim| LinearConfig::new(self.hidden_size, dim).with_bias(false).init(device);
        ClipTextModel {
            text_model: TextTransformer {
                embeddings: Embeddings {
                    token_embedding: embedding(self.vocab_size),
                    position_embedding: embedding(self.positions),
                },
                encoder: Encoder { layers: (0..self.layers).map(|_| Layer::new(self, device)).collect() },
                final_layer_norm: LayerNormConfig::new(self.hidden_size).with_epsilon(self.layer_norm_eps).init(device),
                epsilon: self.layer_norm_eps,
            },
            text_projection: self.projection_dim.map(projection),
            end_token: self.end_token,
        }
    }
}

impl ClipTextModel {
    /// Encodes prompts of equal length, as [`Tokenizer::encode_batch`](crate::Tokenizer::encode_batch) gives them.
    ///
    /// # Errors
    /// If there are no ids, the lengths differ or exceed the positions of the encoder, or an id is beyond its
    /// vocabulary.
    pub fn encode(&self, prompts: &[Vec<u32>], device: &Device) -> Result<TextOutput> {
        let length = prompts.first().map_or(0, Vec::len);
        self.check_lengths(prompts, length)?;
        let ids: Vec<_> = prompts.iter().flatten().copied().collect();
        self.check_ids(&ids)?;
        let ids: Vec<_> = ids.into_iter().map(i64::from).collect();
        Ok(self.forward(Tensor::from_data(TensorData::new(ids, [prompts.len(), length]), device)))
    }

    /// Encodes token ids in the type that the encoder computes in; the outputs are f32.
    ///
    /// # Shapes
    /// - ids: `[batch, tokens]`
    ///
    /// # Panics
    /// If there are more tokens than positions. What an id beyond the vocabulary does depends on the backend:
    /// [`encode`](ClipTextModel::encode) checks for both.
    pub fn forward(&self, ids: Tensor<2, Int>) -> TextOutput {
        in_pool(&ids.device(), || {
            let tokens = self.text_model.embeddings.token_embedding.forward(ids.clone());
            self.layers(ids, tokens.cast(self.dtype()))
        })
    }

    /// From the embeddings of tokens, before the positions are added, to the output. The ids say where prompts end.
    fn layers(&self, ids: Tensor<2, Int>, tokens: Tensor<3>) -> TextOutput {
        let mut hidden = vec![self.text_model.embeddings.with_positions(tokens)];
        for layer in &self.text_model.encoder.layers {
            hidden.push(layer.forward(hidden[hidden.len() - 1].clone()));
        }
        let last = self.text_model.norm(hidden[hidden.len() - 1].clone());
        let pooled = at_tokens(last.clone(), self.end_positions(ids));
        let text_embeds = self.text_projection.as_ref().map(|projection| linear(projection, pooled.clone()));
        TextOutput {
            hidden_states: hidden.into_iter().map(|hidden| hidden.cast(FloatDType::F32)).collect(),
            last_hidden_state: last.cast(FloatDType::F32),
            pooled: pooled.cast(FloatDType::F32),
            text_embeds: text_embeds.map(|embeds| embeds.cast(FloatDType::F32)),
        }
    }

    /// What Stable Diffusion 1 and 2 read at clip-skip `skip`: the hidden state that many layers before the last,
    /// under the final norm. 0 is [`TextOutput::last_hidden_state`].
    ///
    /// `clip_skip` of diffusers is the same number; "Clip skip" of A1111 is one more.
    ///
    /// # Shapes
    /// - output: `[batch, tokens, dim]`
    ///
    /// # Errors
    /// If the encoder has fewer layers.
    pub fn clip_skip(&self, output: &TextOutput, skip: usize) -> Result<Tensor<3>> {
        let hidden = output.hidden_from_end(skip)?.cast(FloatDType::from(self.dtype()));
        Ok(self.text_model.norm(hidden).cast(FloatDType::F32))
    }

    /// The type that the encoder computes in: that of its weights, but f32 for halves on a CPU.
    pub fn dtype(&self) -> DType {
        arithmetic(&self.text_model.final_layer_norm.gamma.val())
    }

    /// The number of token ids that the encoder knows.
    pub fn vocab_size(&self) -> usize {
        self.text_model.embeddings.token_embedding.weight.lazy_shape()[0]
    }

    /// The most tokens that a prompt may have.
    pub fn positions(&self) -> usize {
        self.text_model.embeddings.position_embedding.weight.lazy_shape()[0]
    }

    /// The width of the hidden states.
    pub fn dim(&self) -> usize {
        self.text_model.embeddings.token_embedding.weight.lazy_shape()[1]
    }

    /// The width of the projection, if there is one.
    pub fn projection_dim(&self) -> Option<usize> {
        self.text_projection.as_ref().map(|projection| projection.weight.lazy_shape()[1])
    }

    fn check_lengths(&self, prompts: &[Vec<u32>], length: usize) -> Result<()> {
        let expected = format!("1 to {} token ids for each of one or more prompts, as many for each", self.positions());
        let wrong = |length: usize| Error::InvalidValue {
            field: "prompt",
            value: format!("{length} token ids long"),
            expected: expected.clone(),
        };
        if length == 0 || length > self.positions() {
            return Err(wrong(length));
        }
        prompts.iter().find(|ids| ids.len() != length).map_or(Ok(()), |ids| Err(wrong(ids.len())))
    }

    fn check_ids(&self, ids: &[u32]) -> Result<()> {
        match ids.iter().find(|id| **id as usize >= self.vocab_size()) {
            None => Ok(()),
            Some(id) => Err(Error::InvalidValue {
                field: "token id",
                value: id.to_string(),
                expected: format!("below {}, the vocabulary of the text encoder", self.vocab_size()),
            }),
        }
    }

    /// Where each prompt ends. `[batch, 1]`
    ///
    /// Both rules look for the first of several maxima. Backends break ties as they like, so none is left: an earlier
    /// token gets a higher rank.
    fn end_positions(&self, ids: Tensor<2, Int>) -> Tensor<2, Int> {
        let [_, tokens] = ids.dims();
        let earlier = Tensor::<1, Int>::arange(0..tokens as i64, &ids.device()).flip([0]).unsqueeze::<2>();
        let key = match self.end_token {
            EndToken::HighestId => ids,
            EndToken::Id(id) => ids.equal_elem(id).int(),
        };
        (key * tokens as i64 + earlier).argmax(1)
    }
}

impl TextTransformer {
    fn norm(&self, x: Tensor<3>) -> Tensor<3> {
        layer_norm(&self.final_layer_norm, self.epsilon, x)
    }
}

impl Embeddings {
    /// `[batch, tokens, dim] -> [batch, tokens, dim]`
    fn with_positions(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let positions = self.position_embedding.weight.val();
        assert!(length <= positions.dims()[0], "{length} tokens, but {} positions", positions.dims()[0]);
        let positions = positions.slice_dim(0, 0..length).unsqueeze::<3>();
        let dtype = tokens.dtype();
        tokens + positions.cast(dtype)
    }
}

/// One token of each prompt: `[batch, tokens, dim]` at `[batch, 1]` gives `[batch, dim]`.
fn at_tokens(hidden: Tensor<3>, positions: Tensor<2, Int>) -> Tensor<2> {
    let [batch, _, dim] = hidden.dims();
    assert_shape!(positions, [batch, 1]);
    let index = positions.unsqueeze_dim::<3>(2).expand([batch, 1, dim]);
    hidden.gather(1, index).squeeze_dim(1)
}
