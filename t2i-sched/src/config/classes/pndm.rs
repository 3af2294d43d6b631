//! `PNDMScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{at_most_timesteps, end_of_ladder, integer_timesteps, table, wrong_steps};
use super::super::reader::{Betas, Reader, VisitOptions, Visits};
use super::super::{Arguments, Learned};
use crate::samplers::{self, Ladder};
use crate::{BoxedSampler, Level, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class = Class { name: "PNDMScheduler", read, curves: &[], spaced: true };

#[derive(Debug)]
struct Pndm {
    visits: Visits,
    /// The level below timestep 0.
    last: Level,
    start: Start,
}

/// How the first steps, which have no history, are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// By Runge-Kutta.
    Prk,
    /// By Heun's method.
    Plms,
}

fn read(reader: &mut Reader) -> Read {
    let schedule = reader.schedule(&Betas::DDPM)?;
    let prediction = reader.prediction(None)?;
    let pndm = Pndm {
        visits: reader.visits(&VisitOptions::TIMESTEPS)?,
        last: reader.last(&schedule, false)?,
        start: if reader.flag("skip_prk_steps", false)? { Start::Plms } else { Start::Prk },
    };
    Ok((Learned { schedule, prediction }, Arc::new(pndm)))
}

impl Scheduler for Pndm {
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most_timesteps(steps, learned, CLASS.name)?;
        let visited = integer_timesteps(learned, &self.visits, steps);
        let timesteps = match self.start {
            Start::Plms => plms(visited),
            Start::Prk => prk(visited, steps, learned.schedule.len())?,
        };
        let end = end_of_ladder(learned, steps, self.last, &timesteps);
        table(learned, steps, timesteps, end)
    }

    fn sampler(&self, learned: &Learned, plan: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let ladder = Ladder::new(learned.schedule.clone(), plan.steps, self.last);
        Box::new(match self.start {
            Start::Plms => samplers::Pndm::plms(learned.prediction, ladder),
            Start::Prk => {
                samplers::Pndm::prk(learned.prediction, ladder, plan.whole.iter().copied().take(12).collect())
            }
        })
    }
}

/// The second timestep comes twice.
fn plms(mut timesteps: Vec<f64>) -> Vec<f64> {
    if let Some(second) = timesteps.get(1).copied() {
        timesteps.insert(1, second);
    }
    timesteps
}

/// Three Runge-Kutta steps of four timesteps each come before the others.
fn prk(visited: Vec<f64>, steps: usize, train: usize) -> Result<Vec<f64>> {
    if steps < 4 {
        return Err(wrong_steps(steps, "at least 4 for PNDMScheduler with skip_prk_steps = false".to_owned()));
    }
    let half = (train / steps / 2) as f64;
    let quartet = |pair: &[f64]| [pair[0], pair[1] + half, pair[1] + half, pair[1]];
    let runge_kutta = visited[..4].windows(2).flat_map(quartet);
    Ok(runge_kutta.chain(visited[3..].iter().copied()).collect())
}
