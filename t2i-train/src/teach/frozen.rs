//! A model whose weights stay as they are, and the loss of what learns beside it.

use burn::module::Module;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};

use t2i::{Parts, TextEncoder};
use t2i_core::{Checkpoint, Error, Family, Result};
use t2i_text::TextOutput;
use t2i_unet::{Conditioning, UNet};
use t2i_vae::Codec;

use super::Learner;
use crate::{DiffusionLoss, SampledLevels, TrainingLevels, Weighting};

/// A model whose weights stay as they are.
#[derive(Debug)]
pub struct Frozen {
    encoders: Vec<TextEncoder>,
    unet: UNet,
    codec: Codec,
    family: Family,
    loss: DiffusionLoss,
    levels: TrainingLevels,
    device: Device,
}

/// What a step learns from.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// Clean latents, scaled. `[batch, channels, height, width]`
    pub x0: Tensor<4>,
    /// Noise of unit variance, as `x0`.
    pub eps: Tensor<4>,
    /// A noise level for each sample.
    pub levels: SampledLevels,
    /// A caption for each sample.
    pub captions: Vec<String>,
    /// How much each sample counts.
    pub weights: Vec<f64>,
}

impl Frozen {
    /// Loads a model of the family in f32 onto a device with autodiff.
    ///
    /// # Errors
    /// If the checkpoint is incomplete or corrupt, has no text encoder, or is for inpainting or a refiner, which are
    /// told more than a caption.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let parts = Parts::load(checkpoint, device, FloatDType::F32)?;
        let refused = |value: &str, expected: &str| Error::InvalidValue {
            field: "model",
            value: format!("{value} ({})", checkpoint.path().display()),
            expected: expected.to_owned(),
        };
        if parts.unet.config().in_channels != parts.codec.latent_channels() {
            return Err(refused("one that is shown more than a latent", "one that is not for inpainting or editing"));
        }
        if parts.text_encoders.is_empty() || parts.family == Family::SdXlRefiner {
            return Err(refused("a refiner, or without a text encoder", "a base model"));
        }
        let frozen = |encoder: TextEncoder| TextEncoder { model: encoder.model.no_grad(), ..encoder };
        Ok(Self {
            encoders: parts.text_encoders.into_iter().map(frozen).collect(),
            unet: parts.unet.no_grad(),
            codec: parts.codec.no_grad(),
            family: parts.family,
            loss: DiffusionLoss { prediction: parts.scheduler.prediction(), weighting: Weighting::Uniform },
            levels: TrainingLevels::new(parts.scheduler.schedule()),
            device: device.clone(),
        })
    }

    /// The device, with autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The family of the model.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The text encoders, in the order in which their contexts stand beside each other.
    pub fn encoders(&self) -> &[TextEncoder] {
        &self.encoders
    }

    /// The text encoders, to be told new words.
    pub(super) fn encoders_mut(&mut self) -> &mut [TextEncoder] {
        &mut self.encoders
    }

    /// The UNet.
    pub fn network(&self) -> &UNet {
        &self.unet
    }

    /// The noise levels that the model was trained at.
    pub fn levels(&self) -> &TrainingLevels {
        &self.levels
    }

    /// The side of the pictures that the model was trained with, in pixels.
    pub fn side(&self) -> usize {
        let [height, _] = self.unet.config().sample_size.unwrap_or([64, 64]);
        height * self.codec.factor()
    }

    /// The latents of pictures, `[batch, channels, height, width]`, without a trace of how they came to be.
    ///
    /// # Shapes
    /// - pixels: in [-1, 1], `[batch, 3, height, width]`
    ///
    /// # Errors
    /// If a side is not made of whole cells of the codec.
    pub fn encode(&self, pixels: Tensor<4>) -> Result<Tensor<4>> {
        let [_, _, height, width] = pixels.dims();
        let factor = self.codec.factor();
        match [height, width].into_iter().find(|side| *side == 0 || side % factor != 0) {
            None => Ok(self.codec.encode(pixels).mode().detach()),
            Some(side) => Err(Error::InvalidValue {
                field: "size",
                value: side.to_string(),
                expected: format!("a multiple of {factor}, the cell of the codec"),
            }),
        }
    }

    /// The weighted squared errors of a lesson, summed. `[1]`
    ///
    /// # Errors
    /// If a caption does not fit the encoders.
    pub fn loss(&self, learner: &impl Learner, lesson: &Lesson) -> Result<Tensor<1>> {
        let levels = &lesson.levels.levels;
        let x = self.loss.noisy(lesson.x0.clone(), lesson.eps.clone(), levels);
        let conditioning = self.conditioning(learner, lesson)?;
        let output = learner.unet(&self.unet).forward(x, lesson.levels.timesteps(&self.device), &conditioning);
        let each = self.loss.each(output, lesson.x0.clone(), lesson.eps.clone(), levels);
        let weights: Vec<f32> = lesson.weights.iter().map(|weight| *weight as f32).collect();
        Ok((each * Tensor::from_data(weights.as_slice(), (&self.device, DType::F32))).sum())
    }

    /// What the UNet is told: the captions, and for XL that the pictures were not cut.
    fn conditioning(&self, learner: &impl Learner, lesson: &Lesson) -> Result<Conditioning> {
        let mut contexts = Vec::new();
        let mut pooled = None;
        for encoder in &self.encoders {
            let output = learner.read(encoder, ids(encoder, &lesson.captions, &self.device));
            contexts.push(self.context(&output)?);
            pooled = output.text_embeds;
        }
        let context = Tensor::cat(contexts, 2);
        if !self.unet.config().needs_added_conditioning() {
            return Ok(Conditioning::text(context));
        }
        let [batch, _, height, width] = lesson.x0.dims();
        let [height, width] = [height, width].map(|side| (side * self.codec.factor()) as f32);
        let sizes = Tensor::<2>::from_data([[height, width, 0.0, 0.0, height, width]], (&self.device, DType::F32));
        Ok(Conditioning { context, pooled, time_ids: Some(sizes.repeat_dim(0, batch)), guidance: None })
    }

    fn context(&self, output: &TextOutput) -> Result<Tensor<3>> {
        match self.family.is_xl() {
            true => output.penultimate(),
            false => Ok(output.last_hidden_state.clone()),
        }
    }
}

/// `[batch, tokens]`
fn ids(encoder: &TextEncoder, captions: &[String], device: &Device) -> Tensor<2, Int> {
    let ids = encoder.tokenizer.encode_batch(captions);
    let shape = [captions.len(), encoder.tokenizer.max_length()];
    Tensor::from_data(TensorData::new(ids.into_iter().flatten().map(i64::from).collect(), shape), device)
}
