//! What the network is told of a request at every step.

use burn::tensor::Tensor;

use t2i_core::{Error, Result};
use t2i_unet::{Conditioning, guidance_embedding};

use super::Pipeline;
use super::defaults::Settings;
use super::size_ids::size_ids;
use crate::{Encoded, Request};

/// The encoded prompts, one row an image.
pub(super) struct Told {
    pub(super) positive: Encoded,
    /// Absent where there is no guidance.
    pub(super) negative: Option<Encoded>,
}

impl Told {
    pub(super) fn new(pipeline: &Pipeline, request: &Request, settings: &Settings) -> Result<Self> {
        let positive = positive(pipeline, request)?;
        let negative = settings.guidance.map(|_| negative(pipeline, request, &positive)).transpose()?;
        check("encoded", pipeline, &positive)?;
        negative.as_ref().map_or(Ok(()), |negative| check("encoded_negative", pipeline, negative))?;
        let n = request.images_per_prompt;
        Ok(Self { positive: positive.repeat_each(n), negative: negative.map(|negative| negative.repeat_each(n)) })
    }

    /// Of the negative prompts, then of the prompts, in one batch.
    pub(super) fn conditioning(&self, pipeline: &Pipeline, request: &Request, settings: &Settings) -> Conditioning {
        let batch = |negative: Option<Tensor<2>>, positive: Tensor<2>| match negative {
            Some(negative) => Tensor::cat(vec![negative, positive], 0),
            None => positive,
        };
        let context = match &self.negative {
            Some(negative) => Tensor::cat(vec![negative.context.clone(), self.positive.context.clone()], 0),
            None => self.positive.context.clone(),
        };
        let added = pipeline.unet.config().needs_added_conditioning();
        let pooled = added
            .then(|| self.positive.pooled.clone())
            .flatten()
            .map(|positive| batch(self.negative.as_ref().and_then(|negative| negative.pooled.clone()), positive));
        let time_ids = added.then(|| {
            let (positive, negative) = size_ids(pipeline, request, settings);
            let each = |ids: Tensor<2>| ids.repeat_dim(0, request.images());
            batch(self.negative.as_ref().map(|_| each(negative)), each(positive))
        });
        let guidance = pipeline.unet.config().time_cond_proj_dim.map(|dim| {
            let scales = Tensor::full([request.images()], settings.guidance_scale - 1.0, &pipeline.device);
            guidance_embedding(scales, dim)
        });
        Conditioning { context, pooled, time_ids, guidance }
    }
}

fn positive(pipeline: &Pipeline, request: &Request) -> Result<Encoded> {
    if let Some(encoded) = &request.encoded {
        return Ok(encoded.clone());
    }
    let second = each(&request.second_prompts, request.prompts.len());
    pipeline.prompter.encode(&request.prompts, &second, request.clip_skip.unwrap_or(0))
}

fn negative(pipeline: &Pipeline, request: &Request, positive: &Encoded) -> Result<Encoded> {
    if let Some(encoded) = &request.encoded_negative {
        return Ok(encoded.clone());
    }
    if request.negative_prompts.is_empty() && pipeline.zeros_for_no_negative {
        return Ok(positive.zeros_like());
    }
    let negatives = each(&request.negative_prompts, request.prompt_count());
    let second = each(&request.second_negative_prompts, request.prompt_count());
    // The reference leaves no layer out for the negative prompt.
    pipeline.prompter.encode(&negatives, &second, 0)
}

/// One text a prompt, of none (all empty), one (all the same) or as many.
fn each(texts: &[String], prompts: usize) -> Vec<String> {
    match texts {
        [] => vec![String::new(); prompts],
        [one] => vec![one.clone(); prompts],
        each => each.to_vec(),
    }
}

/// Checks that encoded prompts fit the network.
fn check(field: &'static str, pipeline: &Pipeline, encoded: &Encoded) -> Result<()> {
    let unet = pipeline.unet.config();
    let [_, _, width] = encoded.context.dims();
    agree(field, "context", width, unet.cross_attention_dim)?;
    let Some(added) = unet.text_time else { return Ok(()) };
    let pooled = encoded.pooled.as_ref().map_or(0, |pooled| pooled.dims()[1]);
    let sizes = added.addition_time_embed_dim * if pipeline.wants_aesthetic_score { 5 } else { 6 };
    agree(field, "pooled", pooled, added.projection_class_embeddings_input_dim.saturating_sub(sizes))
}

fn agree(field: &'static str, tensor: &str, width: usize, expected: usize) -> Result<()> {
    match width == expected {
        true => Ok(()),
        false => Err(Error::InvalidValue {
            field,
            value: format!("a {tensor} of width {width}"),
            expected: format!("a {tensor} of width {expected}, as the UNet needs it"),
        }),
    }
}
