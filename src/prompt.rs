//! From prompts to what the UNet is told about them.

use burn::tensor::{Device, FloatDType, Tensor};

use t2i_core::{Checkpoint, Error, LearnedEmbedding, LearnedVectors, Part, Result};
use t2i_text::{ClipTextConfig, ClipTextModel, TextOutput, Tokenizer};

use crate::Encoded;
use crate::finite::check_finite;

/// The text encoders of a model. Their contexts stand beside each other, in this order.
#[derive(Clone)]
pub(crate) struct Prompter {
    pub(crate) encoders: Vec<TextEncoder>,
    pub(crate) layer: Layer,
    pub(crate) device: Device,
}

/// One text encoder with its tokenizer.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    /// Text to ids.
    pub tokenizer: Tokenizer,
    /// Ids to hidden states.
    pub model: ClipTextModel,
    /// Whether it is the second of XL (the refiner has no other), and so reads the second prompts.
    pub is_second: bool,
}

/// The hidden states that the UNet was trained with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Layer {
    /// Stable Diffusion 1 and 2: the last ones, after the final norm.
    Last,
    /// XL: the penultimate ones, before the final norm (section 2.1 of <https://arxiv.org/abs/2307.01952>).
    Penultimate,
}

impl Prompter {
    /// Encodes prompts. The second encoder reads `second`, but the prompt itself where that is empty. `clip_skip`
    /// leaves out that many layers at the end.
    pub(crate) fn encode(&self, prompts: &[String], second: &[String], clip_skip: usize) -> Result<Encoded> {
        let or_prompt = |(prompt, second): (&String, &String)| if second.is_empty() { prompt } else { second }.clone();
        let second: Vec<_> = prompts.iter().zip(second).map(or_prompt).collect();
        if self.encoders.is_empty() {
            return Err(Error::InvalidValue {
                field: "prompts",
                value: "text".to_owned(),
                expected: "encoded: the pipeline has no text encoder".to_owned(),
            });
        }
        let mut contexts = Vec::new();
        let mut pooled = None;
        for encoder in &self.encoders {
            let prompts = if encoder.is_second { &second } else { prompts };
            let output = encoder.forward(prompts, &self.device)?;
            contexts.push(self.context(encoder, &output, clip_skip)?);
            pooled = output.text_embeds;
        }
        let context = check_finite("the text encoder", Tensor::cat(contexts, 2))?;
        Ok(Encoded { context, pooled })
    }

    /// Adds a learned word to the tokenizers and encoders that it is for. An error leaves all as they were.
    pub(crate) fn learn(&mut self, embedding: &LearnedEmbedding) -> Result<()> {
        let mut encoders = self.encoders.clone();
        for vectors in &embedding.vectors {
            let dim = vectors.values.shape().last().copied().unwrap_or_default();
            let reads = |encoder: &&mut TextEncoder| match vectors.encoder {
                Some(part) => encoder.part() == part,
                None => encoder.model.dim() == dim,
            };
            let Some(encoder) = encoders.iter_mut().find(reads) else {
                return Err(self.no_encoder(embedding, vectors));
            };
            let first = encoder.tokenizer.add_word(&embedding.token, vectors.values.shape()[0])?;
            encoder.model = encoder.model.clone().with_embeddings(first, &vectors.values)?;
        }
        self.encoders = encoders;
        Ok(())
    }

    fn no_encoder(&self, embedding: &LearnedEmbedding, vectors: &LearnedVectors) -> Error {
        let own = |encoder: &TextEncoder| format!("{} ({})", encoder.model.dim(), encoder.part());
        let own: Vec<_> = self.encoders.iter().map(own).collect();
        let part = vectors.encoder.map(|part| format!(", for {part}")).unwrap_or_default();
        Error::InvalidValue {
            field: "learned embedding",
            value: format!("{:?} wide{part} ({})", &vectors.values.shape()[1..], embedding.origin),
            expected: match own.is_empty() {
                true => "absent: the pipeline has no text encoder".to_owned(),
                false => format!("as wide as the tokens of the model's text encoder, {}", own.join(" or ")),
            },
        }
    }

    /// A sentence for each prompt that is too long, about what the model does not see of it.
    pub(crate) fn warnings(&self, prompts: &[String]) -> Vec<String> {
        let Some(TextEncoder { tokenizer, .. }) = self.encoders.first() else {
            return Vec::new();
        };
        let cut_off = |prompt: &String| tokenizer.cut_off(prompt).map(str::to_owned);
        let tokens = tokenizer.max_length();
        prompts
            .iter()
            .filter_map(cut_off)
            .map(|rest| format!("the prompt is longer than {tokens} tokens; not seen by the model: {rest}"))
            .collect()
    }

    fn context(&self, encoder: &TextEncoder, output: &TextOutput, clip_skip: usize) -> Result<Tensor<3>> {
        match self.layer {
            Layer::Last => encoder.model.clip_skip(output, clip_skip),
            Layer::Penultimate => output.hidden_from_end(clip_skip + 1),
        }
    }
}

impl TextEncoder {
    /// The text encoders of a checkpoint.
    ///
    /// # Errors
    /// If one cannot be loaded.
    pub(crate) fn load_all(checkpoint: &Checkpoint, device: &Device, dtype: FloatDType) -> Result<Vec<Self>> {
        let parts = [(Part::TextEncoder, Part::Tokenizer), (Part::TextEncoder2, Part::Tokenizer2)];
        let present = parts.into_iter().filter(|(encoder, _)| checkpoint.has(*encoder));
        present.map(|(encoder, tokenizer)| Self::load(checkpoint, encoder, tokenizer, device, dtype)).collect()
    }

    fn load(
        checkpoint: &Checkpoint,
        encoder: Part,
        tokenizer: Part,
        device: &Device,
        dtype: FloatDType,
    ) -> Result<Self> {
        let config = ClipTextConfig::from_options(checkpoint.options(encoder)?)?;
        let model = checkpoint.weights(encoder)?.load(config.init(device), dtype)?;
        let is_second = encoder == Part::TextEncoder2;
        let tokenizer = match checkpoint.folder(tokenizer) {
            Some(folder) => Tokenizer::from_folder(folder)?,
            None if checkpoint.family().pads_with_zero(encoder) => Tokenizer::built_in_zero_padded(),
            None => Tokenizer::built_in(),
        };
        Ok(Self { tokenizer, model, is_second })
    }

    /// The part of a checkpoint that it is.
    pub fn part(&self) -> Part {
        if self.is_second { Part::TextEncoder2 } else { Part::TextEncoder }
    }

    fn forward(&self, prompts: &[String], device: &Device) -> Result<TextOutput> {
        self.model.encode(&self.tokenizer.encode_batch(prompts), device)
    }
}

impl Encoded {
    /// What stands for an absent negative prompt in models that were trained so.
    pub(crate) fn zeros_like(&self) -> Self {
        Self { context: self.context.zeros_like(), pooled: self.pooled.as_ref().map(|pooled| pooled.zeros_like()) }
    }

    /// Every row `n` times, one after the other.
    pub(crate) fn repeat_each(self, n: usize) -> Self {
        let [rows, tokens, dim] = self.context.dims();
        let context = self.context.unsqueeze_dim::<4>(1).repeat_dim(1, n).reshape([rows * n, tokens, dim]);
        let pooled = self.pooled.map(|pooled| {
            let [rows, dim] = pooled.dims();
            pooled.unsqueeze_dim::<3>(1).repeat_dim(1, n).reshape([rows * n, dim])
        });
        Self { context, pooled }
    }
}
