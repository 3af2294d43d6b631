//! The levels that a run visits, and what the network is told at each.

use t2i_core::{Error, Result};

use crate::{Level, Schedule};

/// What diffusers' `set_timesteps` gives: the levels to visit, and the number that the network is told at each.
///
/// Image-to-image is a plan without its first entries: [`for_strength`](Self::for_strength).
#[derive(Debug, Clone)]
pub struct Plan {
    /// The levels, noisiest first. One more than there are timesteps: the last is where the run ends. PNDM's list has
    /// one level twice (or six of them), because it evaluates the network there twice.
    pub levels: Vec<Level>,
    /// What the network is told at each level but the last.
    pub timesteps: Vec<f64>,
    /// The factor that makes noise of unit variance a latent at the first level (`init_noise_sigma`).
    pub init_scale: f64,
    /// How many steps were asked for.
    pub(crate) steps: usize,
    /// All levels and timesteps, whatever has been skipped.
    pub(crate) whole: Vec<Level>,
    pub(crate) whole_timesteps: Vec<f64>,
    pub(crate) schedule: Schedule,
    /// Where diffusers' list has two entries a step: the level of the second between those of a step.
    pub(crate) second: Option<Second>,
}

/// The level of a step's second call of the network.
pub(crate) type Second = fn(Level, Level) -> Level;

/// The second call is at the end of the step, as Heun's.
pub(crate) const AT_THE_END: Option<Second> = Some(|_, to| to);

/// The second call is half way, as DPM2's.
pub(crate) const HALF_WAY: Option<Second> = Some(|from, to| from.toward(to, 0.5));

impl Plan {
    pub(crate) fn new(
        steps: usize,
        levels: Vec<Level>,
        timesteps: Vec<f64>,
        init_scale: f64,
        schedule: &Schedule,
    ) -> Self {
        Self {
            whole: levels.clone(),
            whole_timesteps: timesteps.clone(),
            schedule: schedule.clone(),
            levels,
            timesteps,
            init_scale,
            steps,
            second: None,
        }
    }

    /// What the network is told at `level`: exactly diffusers' number for the levels of the plan (and of the plan that
    /// this is a part of), else [`Schedule::timestep`].
    pub fn timestep(&self, level: Level) -> f64 {
        let place = self.whole.iter().position(|l| *l == level);
        match place.and_then(|i| self.whole_timesteps.get(i)) {
            Some(timestep) => *timestep,
            None => self.schedule.timestep(level),
        }
    }

    /// The plan without its first `start` timesteps. The latent to start from is
    /// `plan.levels[start].mix(x0, noise)`, with the levels of the plan before it was cut.
    pub fn skip(&self, start: usize) -> Self {
        let start = start.min(self.timesteps.len());
        Self { levels: self.levels[start..].to_vec(), timesteps: self.timesteps[start..].to_vec(), ..self.clone() }
    }

    /// The plan without what comes after its first `count` timesteps.
    pub fn take(&self, count: usize) -> Self {
        let count = count.min(self.timesteps.len());
        Self { levels: self.levels[..=count].to_vec(), timesteps: self.timesteps[..count].to_vec(), ..self.clone() }
    }

    /// The plan of image-to-image: the last `strength` share of the steps, as diffusers' `get_timesteps` cuts it. The
    /// latent to start from is `plan.levels[0].mix(x0, noise)` of the returned plan.
    ///
    /// # Errors
    /// If `strength` is not in (0, 1], or is so small that no step is left.
    pub fn for_strength(&self, strength: f64) -> Result<Self> {
        let kept = (self.steps as f64 * strength) as usize;
        if !(strength > 0.0 && strength <= 1.0) || kept == 0 {
            return Err(Error::InvalidValue {
                field: "strength",
                value: strength.to_string(),
                expected: format!("in (0, 1], and at least {} for {} steps", 1.0 / self.steps as f64, self.steps),
            });
        }
        Ok(self.skip(self.steps - kept.min(self.steps)))
    }

    /// The part of the plan that a base model runs before it hands over to a refiner: the timesteps of the noisiest
    /// `end` share of the model's own (`denoising_end` of diffusers' XL pipelines).
    ///
    /// # Errors
    /// If `end` is not in (0, 1), or leaves no step.
    pub fn until(&self, end: f64) -> Result<Self> {
        let cutoff = self.cutoff("denoising_end", end)?;
        let count = self.timesteps.iter().filter(|t| **t >= cutoff).count();
        nonempty(self.take(count), "denoising_end", end)
    }

    /// The part of the plan that a refiner runs: the timesteps below the noisiest `start` share of the model's own
    /// (`denoising_start` of diffusers' XL image-to-image).
    ///
    /// # Errors
    /// If `start` is not in (0, 1), or leaves no step.
    pub fn from(&self, start: f64) -> Result<Self> {
        let cutoff = self.cutoff("denoising_start", start)?;
        let first = self.timesteps.iter().filter(|t| **t >= cutoff).count();
        nonempty(self.skip(self.start_of_step(first, cutoff)), "denoising_start", start)
    }

    /// Diffusers never starts in the middle of a step: if the second call of the step before is below the cutoff, it starts
    /// there, and it always leaves the last step.
    fn start_of_step(&self, first: usize, cutoff: f64) -> usize {
        let (Some(second), Some(before)) = (self.second, first.checked_sub(1)) else { return first };
        let cut =
            first == self.timesteps.len() || self.timestep(second(self.levels[before], self.levels[first])) < cutoff;
        if cut { before } else { first }
    }

    /// The timestep below which the refiner takes over; Python rounds halves to even.
    fn cutoff(&self, field: &'static str, share: f64) -> Result<f64> {
        if !(share > 0.0 && share < 1.0) {
            let (value, expected) = (share.to_string(), "in (0, 1)".to_owned());
            return Err(Error::InvalidValue { field, value, expected });
        }
        let train = self.schedule.len() as f64;
        Ok((train - share * train).round_ties_even())
    }
}

fn nonempty(plan: Plan, field: &'static str, share: f64) -> Result<Plan> {
    if plan.timesteps.is_empty() {
        let expected = "a share that leaves at least one step".to_owned();
        return Err(Error::InvalidValue { field, value: share.to_string(), expected });
    }
    Ok(plan)
}
