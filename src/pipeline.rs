//! A loaded checkpoint, and what it does with a request.

mod adapters;
mod blend;
mod check;
mod conditioning;
mod defaults;
mod denoiser;
mod latents;
mod parts;
mod pictures;
mod run;
mod size_ids;

use std::path::Path;

use burn::tensor::{Device, FloatDType, Tensor};

use t2i_core::{Checkpoint, Family, Result};
use t2i_sched::{Plan, Sampler, SchedulerConfig};
use t2i_unet::UNet;
use t2i_vae::{Codec, Posterior, Tiling};

use crate::finite::check_finite;
use crate::prompt::{Layer, Prompter};
use crate::{Request, Start};

use defaults::Settings;

pub use parts::Parts;
pub use pictures::Pictures;
pub use run::Run;

/// Text encoders, UNet and image codec of one checkpoint on one device, and how it is sampled.
pub struct Pipeline {
    prompter: Prompter,
    unet: UNet,
    codec: Codec,
    scheduler: SchedulerConfig,
    family: Family,
    zeros_for_no_negative: bool,
    wants_aesthetic_score: bool,
    tiling: Option<Tiling>,
    device: Device,
}

impl Pipeline {
    /// Loads a diffusers folder, or a single `.safetensors` or `.ckpt` file, with weights of type `dtype`.
    ///
    /// # Errors
    /// If a part is missing or corrupt, or an option of a config is unknown or not supported.
    pub fn load(path: impl AsRef<Path>, device: &Device, dtype: FloatDType) -> Result<Self> {
        Self::from_checkpoint(&Checkpoint::open(path.as_ref())?, device, dtype)
    }

    /// As [`load`](Self::load), from a checkpoint that is open already.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_checkpoint(checkpoint: &Checkpoint, device: &Device, dtype: FloatDType) -> Result<Self> {
        Self::from_parts(Parts::load(checkpoint, device, dtype)?, device)
    }

    /// Puts a pipeline together from parts of one's own.
    ///
    /// # Errors
    /// If the parts do not fit each other.
    pub fn from_parts(parts: Parts, device: &Device) -> Result<Self> {
        parts.check()?;
        let layer = if parts.family.is_xl() { Layer::Penultimate } else { Layer::Last };
        Ok(Self {
            prompter: Prompter { encoders: parts.text_encoders, layer, device: device.clone() },
            unet: parts.unet,
            codec: parts.codec,
            scheduler: parts.scheduler,
            family: parts.family,
            zeros_for_no_negative: parts.zeros_for_no_negative,
            wants_aesthetic_score: parts.wants_aesthetic_score,
            tiling: None,
            device: device.clone(),
        })
    }

    /// The device that everything runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The family of the checkpoint.
    pub fn family(&self) -> Family {
        self.family
    }

    /// How the checkpoint is sampled.
    pub fn scheduler(&self) -> &SchedulerConfig {
        &self.scheduler
    }

    /// Samples by another config, such as one read from a `scheduler_config.json`.
    pub fn set_scheduler(&mut self, scheduler: SchedulerConfig) {
        self.scheduler = scheduler;
    }

    /// Samples by another sampler's name, such as `"DPM++ 2M Karras"`, with what the model's config says about its
    /// training.
    ///
    /// # Errors
    /// If no sampler has that name.
    pub fn set_sampler(&mut self, name: &str) -> Result<()> {
        self.scheduler = self.scheduler.with_sampler(name)?;
        Ok(())
    }

    /// Encodes and decodes pictures a tile at a time, with blended seams, for sizes that do not fit into memory:
    /// diffusers' `vae.enable_tiling()`.
    pub fn enable_tiling(&mut self) {
        self.tiling = Some(self.codec.tiling());
    }

    /// The steps from noise to picture: an iterator that can be watched, previewed and dropped.
    ///
    /// # Errors
    /// Names the field of the request that cannot be served.
    pub fn steps<'a>(&'a self, request: &Request) -> Result<Run<'a>> {
        Run::start(self, request, None)
    }

    /// As [`steps`](Self::steps), with a sampler of one's own on the levels that the scheduler config visits.
    ///
    /// # Errors
    /// As [`steps`](Self::steps).
    pub fn steps_with<'a>(&'a self, request: &Request, sampler: impl Sampler + Send + 'a) -> Result<Run<'a>> {
        Run::start(self, request, Some(Box::new(sampler)))
    }

    /// Makes the pictures of a request.
    ///
    /// # Errors
    /// Names the field of the request that cannot be served, or the stage that gave NaN or infinity.
    pub fn generate(&self, request: &Request) -> Result<Pictures> {
        self.steps(request)?.finish()
    }

    /// Makes the latents of a request, not yet decoded: what a refiner starts from.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    ///
    /// # Shapes
    /// The result is `[images, 4, height / 8, width / 8]`.
    pub fn latents(&self, request: &Request) -> Result<Tensor<4>> {
        self.steps(request)?.finish_latents()
    }

    /// The picture that a latent stands for, in [-1, 1] but for what the codec overshoots.
    ///
    /// # Errors
    /// If the codec gives NaN or infinity.
    ///
    /// # Shapes
    /// - latents: `[images, 4, height / 8, width / 8]`
    /// - output: `[images, 3, height, width]`
    pub fn decode(&self, latents: Tensor<4>) -> Result<Tensor<4>> {
        let pixels = match &self.tiling {
            Some(tiling) => self.codec.decode_tiled(latents, tiling),
            None => self.codec.decode(latents),
        };
        check_finite("the codec's decoder", pixels)
    }

    /// The latents that pictures may have.
    fn encode(&self, pixels: Tensor<4>) -> Posterior {
        match &self.tiling {
            Some(tiling) => self.codec.encode_tiled(pixels, tiling),
            None => self.codec.encode(pixels),
        }
    }

    /// The noise levels that a request visits.
    fn plan(&self, request: &Request, settings: &Settings) -> Result<Plan> {
        let whole = self.scheduler.plan(settings.steps)?;
        let plan = match (&request.start, request.denoising_start) {
            (_, Some(start)) => whole.from(start)?,
            (Start::Image { .. } | Start::Inpaint { .. }, None) => whole.for_strength(settings.strength)?,
            _ => whole,
        };
        request.denoising_end.map_or(Ok(plan.clone()), |end| plan.until(end))
    }

    /// Whether the network is shown mask and masked picture beside the latent.
    fn is_inpainting_model(&self) -> bool {
        self.unet.config().in_channels == 2 * self.codec.latent_channels() + 1
    }
}
