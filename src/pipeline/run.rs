//! A request under way.

use burn::tensor::Tensor;

use t2i_core::Result;
use t2i_sched::{BoxedSampler, Plan, Progress, SharedNoise, Unconditional, try_steps};

use super::blend::Blend;
use super::conditioning::Told;
use super::defaults::Settings;
use super::denoiser::Denoiser;
use super::latents::{Kept, Origin, Starter};
use super::{Pictures, Pipeline};
use crate::{Encoded, Request};

/// The steps of a request. Each item is a step done; dropping the run cancels it; [`finish`](Run::finish) makes the
/// pictures.
///
/// ```no_run
/// # use t2i::prelude::*;
/// # fn run(pipeline: &Pipeline) -> t2i::Result<()> {
/// let mut run = pipeline.steps(&Request::new("a lighthouse at night"))?;
/// for step in &mut run {
///     let step = step?;
///     eprintln!("{} of {}", step.index + 1, step.total);
///     let preview = pipeline.decode(step.x0)?;
/// }
/// let pictures = run.finish()?;
/// # Ok(())
/// # }
/// ```
pub struct Run<'a> {
    pipeline: &'a Pipeline,
    steps: Box<dyn ExactSizeIterator<Item = Result<Progress>> + 'a>,
    /// The latest.
    latents: Tensor<4>,
    noise: Option<Tensor<4>>,
    prompts: Encoded,
    warnings: Vec<String>,
}

impl<'a> Run<'a> {
    /// `sampler` stands for the one of the scheduler config, if there is one.
    pub(super) fn start(pipeline: &'a Pipeline, request: &Request, sampler: Option<BoxedSampler<'a>>) -> Result<Self> {
        request.check()?;
        pipeline.check_start(request)?;
        let settings = Settings::new(pipeline, request)?;
        let plan = pipeline.plan(request, &settings)?;
        let told = Told::new(pipeline, request, &settings)?;
        let random = SharedNoise::seeded_each(&request.seeds);
        let mut starter = Starter { pipeline, request, settings: &settings, plan: &plan, random: random.clone() };
        let Origin { x, noise, kept } = starter.origin()?;
        let unconditional = Unconditional::default();
        let sampler = match sampler {
            Some(sampler) => sampler,
            None => {
                let scheduler = pipeline.scheduler.clone().with_eta(request.eta).with_unconditional(&unconditional);
                scheduler.sampler(&plan, &random)
            }
        };
        let (sampler, masked_picture) = keep(sampler, kept, &noise, &plan);
        let mut denoiser = Denoiser {
            unet: pipeline.unet.conditioned(told.conditioning(pipeline, request, &settings)),
            prediction: pipeline.scheduler.prediction(),
            plan: plan.clone(),
            guidance: settings.guidance,
            guidance_rescale: request.guidance_rescale,
            unconditional,
            masked_picture,
        };
        let denoise = move |x, level| denoiser.denoise(x, level);
        Ok(Self {
            pipeline,
            latents: x.clone(),
            steps: Box::new(try_steps(sampler, x, plan.levels, denoise)),
            noise,
            prompts: told.positive,
            warnings: pipeline.prompter.warnings(&request.prompts),
        })
    }

    /// What the user should know of the request, such as the end of a prompt that the model does not see.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Does the steps that are left, and decodes.
    ///
    /// # Errors
    /// Names the stage that gave NaN or infinity.
    pub fn finish(mut self) -> Result<Pictures> {
        self.do_the_rest()?;
        Ok(Pictures {
            pixels: self.pipeline.decode(self.latents.clone())?,
            latents: self.latents,
            noise: self.noise,
            context: self.prompts.context,
            pooled: self.prompts.pooled,
        })
    }

    /// Does the steps that are left, and does not decode: what a refiner starts from.
    ///
    /// # Errors
    /// As [`finish`](Run::finish).
    ///
    /// # Shapes
    /// The result is `[images, 4, height / 8, width / 8]`.
    pub fn finish_latents(mut self) -> Result<Tensor<4>> {
        self.do_the_rest()?;
        Ok(self.latents)
    }

    fn do_the_rest(&mut self) -> Result<()> {
        self.by_ref().try_for_each(|step| step.map(drop))
    }
}

impl Iterator for Run<'_> {
    type Item = Result<Progress>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.steps.next()?;
        if let Ok(progress) = &step {
            self.latents = progress.x.clone();
        }
        Some(step)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.steps.size_hint()
    }
}

impl ExactSizeIterator for Run<'_> {}

/// What is to stay of a picture goes through the network where it was trained for that, else around it.
fn keep<'a>(
    sampler: BoxedSampler<'a>,
    kept: Option<Kept>,
    noise: &Option<Tensor<4>>,
    plan: &Plan,
) -> (BoxedSampler<'a>, Option<Tensor<4>>) {
    match (kept, noise) {
        (Some(Kept::Blended { latent, mask }), Some(noise)) => {
            let (noise, left) = (noise.clone(), plan.timesteps.len());
            (Box::new(Blend { sampler, latent, noise, mask, left }), None)
        }
        (Some(Kept::Shown(masked)), _) => (sampler, Some(masked)),
        _ => (sampler, None),
    }
}
