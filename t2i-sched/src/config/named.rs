//! Samplers that diffusers has no class for, on the model of any config.

use std::sync::Arc;

use t2i_core::Result;

use super::class::{Read, Scheduler};
use super::plans::{Interpolation, MOST_STEPS, at_most, exploding, round_to_f32, sigma_to_timestep};
use super::reader::{Betas, Reader, VisitOptions, Visits, ZeroSnr};
use super::{Arguments, Learned};
use crate::{BoxedSampler, Level, Plan, Recipe, Setup, SharedNoise};

/// A sampler at variance-exploding levels, as k-diffusion runs it: the network is told the timestep of each sigma.
///
/// Without a spacing of its name's, the config's `timestep_spacing` holds, as for Euler.
#[derive(Debug)]
struct Named {
    recipe: Recipe,
    visits: Visits,
}

pub(super) fn read(reader: &mut Reader, recipe: Recipe) -> Read {
    let schedule = reader.schedule(&Betas { zero_snr: ZeroSnr::Finite, ..Betas::DDPM })?;
    let prediction = reader.prediction(Some("sample"))?;
    let visits = reader.visits(&VisitOptions { spacing: "linspace", ..VisitOptions::TIMESTEPS })?;
    Ok((Learned { schedule, prediction }, Arc::new(Named { recipe, visits })))
}

impl Scheduler for Named {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, self.recipe.sampler.as_str())?;
        let sigmas = learned.schedule.sigmas();
        let (low, high) = (f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
        if self.recipe.spacing.is_none() && !self.recipe.sampler.has_own_levels() {
            return Ok(exploding(learned, &self.visits, steps, Interpolation::Linear));
        }
        let levels = self.recipe.levels(&learned.schedule, low, high, steps)?;
        let levels: Vec<Level> = levels.iter().map(|level| Level::ve(round_to_f32(level.sigma))).collect();
        let starts = &levels[..levels.len() - 1];
        let timesteps = starts.iter().map(|level| sigma_to_timestep(level.sigma, &sigmas)).collect();
        let init_scale = levels[0].sigma;
        Ok(Plan::new(steps, levels, timesteps, init_scale, &learned.schedule))
    }

    fn sampler(&self, _: &Learned, plan: &Plan, noise: SharedNoise, on: &Arguments) -> BoxedSampler<'static> {
        let eta = on.eta.filter(|eta| *eta > 0.0);
        let setup = Setup {
            eta,
            steps: plan.steps,
            unconditional: on.unconditional.clone(),
            ..Setup::new(&plan.levels, &noise)
        };
        self.recipe.sampler.build(&setup)
    }
}
