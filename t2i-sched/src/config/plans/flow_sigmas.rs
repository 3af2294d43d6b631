//! Flow levels beside betas: the multistep classes.

use t2i_core::{Error, Result};

use super::super::Learned;
use super::super::reader::{FlowSigmas, Visits};
use super::{MOST_STEPS, at_most, at_most_timesteps, curve, multistep, preserving, round_to_f32};
use crate::spacing::flow::Shift;
use crate::spacing::ramp;
use crate::{Level, Plan, Schedule};

impl FlowSigmas {
    /// The levels of the betas, whatever is visited.
    pub(in crate::config) fn table<'a>(&'a self, learned: &'a Learned) -> &'a Schedule {
        self.betas.as_ref().unwrap_or(&learned.schedule)
    }

    /// Checks the number of steps: flow has levels between its own.
    pub(in crate::config) fn check(&self, steps: usize, learned: &Learned, class: &str) -> Result<()> {
        match self.is_on() {
            true => at_most(steps, MOST_STEPS, class),
            false => at_most_timesteps(steps, learned, class),
        }
    }

    /// The timesteps, rounded down, and the sigmas of a straight line, shifted: it leaves out pure noise and the end.
    pub(in crate::config) fn line(&self, learned: &Learned, steps: usize, shift: Shift) -> (Vec<f64>, Vec<f64>) {
        let train = learned.schedule.len() as f64;
        let line = ramp(1.0, 1.0 / train, steps + 1).into_iter().skip(1).rev();
        let sigmas: Vec<f64> = line.map(|alpha| shift.apply(1.0 - alpha)).collect();
        (sigmas.iter().map(|sigma| (sigma * train).trunc()).collect(), sigmas)
    }

    /// The timesteps and sigmas of a run: of a curve, whose timesteps are those that `told` finds in the betas' sigmas, of
    /// flow, or of the first `most` timesteps of the betas.
    pub(in crate::config) fn visited(
        &self,
        learned: &Learned,
        visits: &Visits,
        steps: usize,
        (most, shift): (usize, Shift),
        told: impl FnOnce(&[f64], &[f32]) -> Vec<f64>,
    ) -> (Vec<f64>, Vec<f64>) {
        let sigmas = self.table(learned).sigmas();
        let (low, high) = (f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
        match curve(visits, steps, low, high) {
            Some(curve) => (told(&curve, &sigmas), curve),
            None if self.is_on() => self.line(learned, steps, shift),
            None => multistep(learned, visits, steps, most),
        }
    }

    /// The plan at these sigmas, of flow or variance-exploding ones, which ends at `last`.
    pub(in crate::config) fn plan(
        &self,
        learned: &Learned,
        steps: usize,
        timesteps: Vec<f64>,
        visited: Vec<f64>,
        last: f64,
    ) -> Result<Plan> {
        if !self.is_on() {
            return preserving(learned, steps, timesteps, visited, last);
        }
        if let Some(sigma) = visited.iter().find(|sigma| !(**sigma > 0.0 && **sigma <= 1.0)) {
            let expected = "sigmas above 0 and at most 1, because use_flow_sigmas is true".to_owned();
            return Err(Error::InvalidValue { field: "levels", value: format!("sigma = {sigma}"), expected });
        }
        let levels = visited.into_iter().chain([last]).map(|sigma| Level::flow(round_to_f32(sigma))).collect();
        Ok(Plan::new(steps, levels, timesteps, 1.0, &learned.schedule))
    }
}
