//! From a config and a number of steps to a plan: diffusers' `set_timesteps`, with its roundings.

use t2i_core::{Error, Result};

use super::SchedulerConfig;
use super::settings::{Curve, Dpm, FinalSigma, Settings, Solver, Spacing};
use crate::samplers::Ladder;
use crate::spacing::{self, interpolate, ramp};
use crate::{Level, Plan};

/// See [`SchedulerConfig::plan`].
pub(super) fn plan(config: &SchedulerConfig, steps: usize) -> Result<Plan> {
    let settings = &config.settings;
    let most = match settings.solver {
        Solver::Euler { .. } | Solver::EulerAncestral | Solver::Heun => 100_000,
        _ => settings.schedule.len(),
    };
    if steps == 0 || steps > most {
        return Err(wrong_steps(steps, format!("1 to {most} for {}", config.class_name())));
    }
    match &settings.solver {
        Solver::Euler { log_linear, continuous } => {
            let mut plan = exploding(settings, steps, *log_linear);
            if *continuous {
                let timestep = |level: &Level| f64::from(0.25 * (level.sigma as f32).ln());
                plan.timesteps = plan.levels[..steps.min(plan.timesteps.len())].iter().map(timestep).collect();
                plan.whole_timesteps = plan.timesteps.clone();
            }
            Ok(plan)
        }
        Solver::EulerAncestral => Ok(exploding(settings, steps, false)),
        Solver::Heun => Ok(Plan { order: 2, ..exploding(settings, steps, false) }),
        Solver::Ddim { last } => ladder(settings, steps, *last),
        Solver::Ddpm { .. } => table(settings, steps, integer_timesteps(settings, steps), Level::CLEAN),
        Solver::Pndm { last, skip_prk: true } => plms(settings, steps, *last),
        Solver::Pndm { last, skip_prk: false } => prk(settings, steps, *last),
        Solver::Dpm(options) => dpm(settings, options, steps),
        Solver::UniPc(_) => unipc(settings, steps),
        Solver::Lcm { original_steps, .. } => lcm(settings, steps, *original_steps, 1.0),
    }
}

/// See [`SchedulerConfig::plan_for_strength`].
pub(super) fn plan_for_strength(config: &SchedulerConfig, steps: usize, strength: f64) -> Result<Plan> {
    match config.settings.solver {
        Solver::Lcm { original_steps, .. } if strength > 0.0 && strength <= 1.0 && steps > 0 => {
            lcm(&config.settings, steps, original_steps, strength)
        }
        _ => plan(config, steps)?.for_strength(strength),
    }
}

/// Euler, Euler ancestral and Heun: variance-exploding levels, and timesteps between the integers.
fn exploding(settings: &Settings, steps: usize, log_linear: bool) -> Plan {
    let schedule = &settings.schedule;
    let sigmas = schedule.sigmas();
    let timesteps = match settings.spacing {
        Spacing::Linspace => spacing::linspace(schedule.len(), steps),
        Spacing::Leading => spacing::leading(schedule.len(), steps, settings.offset),
        Spacing::Trailing => spacing::trailing(schedule.len(), schedule.len(), steps),
    };
    let mut timesteps: Vec<f64> = timesteps.into_iter().map(round_to_f32).collect();
    let mut visited: Vec<f64> = timesteps.iter().map(|t| interpolate(*t, &sigmas)).collect();
    if log_linear {
        let ends = [sigmas[sigmas.len() - 1], sigmas[0]].map(|sigma| f64::from(sigma.ln()));
        visited = ramp(ends[0], ends[1], steps + 1).iter().map(|s| round_to_f32(s.exp())).collect();
    }
    if let Some(curve) = curve(settings, steps, visited[visited.len() - 1], visited[0]) {
        timesteps = curve.iter().map(|sigma| sigma_to_timestep(*sigma, &sigmas)).collect();
        visited = curve;
    }
    visited.truncate(timesteps.len() + 1);
    if visited.len() == timesteps.len() {
        visited.push(final_sigma(settings, sigmas[0]));
    }
    let levels: Vec<Level> = visited.iter().map(|sigma| Level::ve(round_to_f32(*sigma))).collect();
    let timesteps = timesteps.into_iter().map(round_to_f32).collect();
    let max = levels.iter().map(|level| level.sigma).fold(0.0, f64::max);
    let init_scale = match settings.spacing {
        Spacing::Leading => max.hypot(1.0),
        Spacing::Linspace | Spacing::Trailing => max,
    };
    Plan::new(steps, levels, timesteps, init_scale, schedule)
}

/// DDIM: levels of the table, and the level one stride below the last of them.
fn ladder(settings: &Settings, steps: usize, last: Level) -> Result<Plan> {
    let timesteps = integer_timesteps(settings, steps);
    let end = end_of_ladder(settings, steps, last, &timesteps);
    table(settings, steps, timesteps, end)
}

/// PNDM without Runge-Kutta steps: the second timestep comes twice.
fn plms(settings: &Settings, steps: usize, last: Level) -> Result<Plan> {
    let mut timesteps = integer_timesteps(settings, steps);
    if let Some(second) = timesteps.get(1).copied() {
        timesteps.insert(1, second);
    }
    let end = end_of_ladder(settings, steps, last, &timesteps);
    table(settings, steps, timesteps, end)
}

/// PNDM with three Runge-Kutta steps of four timesteps each before the others.
fn prk(settings: &Settings, steps: usize, last: Level) -> Result<Plan> {
    if steps < 4 {
        return Err(wrong_steps(steps, "at least 4 for PNDMScheduler with skip_prk_steps = false".to_owned()));
    }
    let visited = integer_timesteps(settings, steps);
    let half = (settings.schedule.len() / steps / 2) as f64;
    let quartet = |pair: &[f64]| [pair[0], pair[1] + half, pair[1] + half, pair[1]];
    let runge_kutta = visited[..4].windows(2).flat_map(quartet);
    let timesteps: Vec<f64> = runge_kutta.chain(visited[3..].iter().copied()).collect();
    let end = end_of_ladder(settings, steps, last, &timesteps);
    table(settings, steps, timesteps, end)
}

/// DPM-Solver: variance-preserving levels with the sigmas of f32, and integer timesteps.
fn dpm(settings: &Settings, options: &Dpm, steps: usize) -> Result<Plan> {
    let schedule = &settings.schedule;
    let sigmas = schedule.sigmas();
    let clipped = (0..schedule.len()).filter(|t| schedule.level(*t).lambda() < options.lambda_min).count();
    let last = schedule.len() - clipped;
    let curve = curve(settings, steps, f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
    let rounded = options.rounded && matches!(settings.curve, Curve::Karras | Curve::Lu);
    let (timesteps, visited) = match curve {
        Some(curve) => (curve_timesteps(&curve, &sigmas, rounded), curve),
        None => multistep(settings, steps, last, &sigmas),
    };
    preserving(settings, steps, timesteps, visited, final_sigma(settings, sigmas[0]))
}

/// UniPC: as DPM-Solver, but for a curve's last sigma.
fn unipc(settings: &Settings, steps: usize) -> Result<Plan> {
    let sigmas = settings.schedule.sigmas();
    let curve = curve(settings, steps, f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
    let rounded = settings.curve == Curve::Karras;
    let Some(curve) = curve else {
        let (timesteps, visited) = multistep(settings, steps, settings.schedule.len(), &sigmas);
        return preserving(settings, steps, timesteps, visited, final_sigma(settings, sigmas[0]));
    };
    let last = match settings.final_sigma {
        FinalSigma::Zero => 0.0,
        FinalSigma::Min => curve[curve.len() - 1],
    };
    preserving(settings, steps, curve_timesteps(&curve, &sigmas, rounded), curve, last)
}

/// The integer timesteps of the multistep solvers, which leave out the end of a list one longer, and their sigmas.
fn multistep(settings: &Settings, steps: usize, last: usize, sigmas: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let mut timesteps = match settings.spacing {
        Spacing::Linspace => spacing::linspace(last, steps + 1),
        Spacing::Leading => spacing::leading(last, steps + 1, settings.offset),
        Spacing::Trailing => spacing::trailing(settings.schedule.len(), last, steps),
    };
    if settings.spacing != Spacing::Trailing {
        timesteps.pop();
    }
    let timesteps: Vec<f64> = timesteps.into_iter().map(f64::round_ties_even).collect();
    let visited = timesteps.iter().map(|t| interpolate(*t, sigmas)).collect();
    (timesteps, visited)
}

/// The timesteps of a curve's sigmas, as integers.
fn curve_timesteps(curve: &[f64], sigmas: &[f32], rounded: bool) -> Vec<f64> {
    let whole = |t: f64| if rounded { t.round_ties_even() } else { t.trunc() };
    curve.iter().map(|sigma| whole(sigma_to_timestep(*sigma, sigmas))).collect()
}

/// A plan at the variance-preserving levels of these variance-exploding sigmas.
fn preserving(
    settings: &Settings,
    steps: usize,
    timesteps: Vec<f64>,
    mut visited: Vec<f64>,
    last: f64,
) -> Result<Plan> {
    if visited.is_empty() || visited.windows(2).any(|pair| pair[0] <= pair[1]) {
        return Err(wrong_steps(steps, "so few that each has a level of its own".to_owned()));
    }
    visited.push(last);
    let levels = visited.iter().map(|sigma| Level::ve(round_to_f32(*sigma)).to_vp()).collect();
    Ok(Plan::new(steps, levels, timesteps, 1.0, &settings.schedule))
}

/// LCM: every so many of the `strength` share of the timesteps that the model was distilled at.
fn lcm(settings: &Settings, steps: usize, original_steps: usize, strength: f64) -> Result<Plan> {
    let stride = settings.schedule.len() / original_steps;
    let available = (original_steps as f64 * strength) as usize;
    if steps > available {
        return Err(wrong_steps(steps, format!("1 to {available}, the original steps at strength {strength}")));
    }
    let origin = |i: usize| ((available - i) * stride) as f64 - 1.0; // noisiest first
    let index = |i: usize| (i as f64 * (available as f64 / steps as f64)).floor() as usize;
    let timesteps = (0..steps).map(|i| origin(index(i))).collect();
    table(settings, steps, timesteps, Level::CLEAN)
}

/// The integer timesteps of DDIM, DDPM and PNDM.
fn integer_timesteps(settings: &Settings, steps: usize) -> Vec<f64> {
    let train = settings.schedule.len();
    let timesteps = match settings.spacing {
        Spacing::Linspace => spacing::linspace(train, steps),
        Spacing::Leading => spacing::leading(train, steps, settings.offset),
        Spacing::Trailing => spacing::trailing(train, train, steps),
    };
    timesteps.into_iter().map(f64::round_ties_even).collect()
}

/// A plan at levels of the table.
fn table(settings: &Settings, steps: usize, timesteps: Vec<f64>, last: Level) -> Result<Plan> {
    let schedule = &settings.schedule;
    if timesteps.iter().any(|t| *t < 0.0 || *t >= schedule.len() as f64) {
        let expected = format!("so few that steps_offset = {} leaves timesteps in the schedule", settings.offset);
        return Err(wrong_steps(steps, expected));
    }
    let visited = timesteps.iter().map(|t| schedule.level(*t as usize));
    let levels = visited.chain([last]).collect();
    Ok(Plan::new(steps, levels, timesteps, 1.0, schedule))
}

fn end_of_ladder(settings: &Settings, steps: usize, last: Level, timesteps: &[f64]) -> Level {
    let ladder = Ladder::new(settings.schedule.clone(), steps, last);
    let lowest = timesteps.last().map_or(0, |t| *t as i64);
    ladder.level(lowest - ladder.stride())
}

/// The sigmas of the config's curve; `None` if it goes by timesteps.
fn curve(settings: &Settings, steps: usize, sigma_min: f64, sigma_max: f64) -> Option<Vec<f64>> {
    let low = settings.sigma_min.unwrap_or(sigma_min);
    let high = settings.sigma_max.unwrap_or(sigma_max);
    match settings.curve {
        Curve::Timesteps => None,
        Curve::Karras => Some(spacing::karras(low, high, steps)),
        Curve::Exponential => Some(spacing::exponential(low, high, steps)),
        Curve::Beta => Some(spacing::beta(low, high, steps)),
        Curve::Lu => Some(lu(sigma_min as f32, sigma_max as f32, steps)),
    }
}

/// Sigmas with evenly spaced `lambda`, from logarithms in f32. <https://arxiv.org/abs/2211.01095>, section 5.2
fn lu(sigma_min: f32, sigma_max: f32, steps: usize) -> Vec<f64> {
    let (low, high) = (f64::from(sigma_min.ln()), f64::from(sigma_max.ln()));
    ramp(0.0, 1.0, steps).iter().map(|r| (high + r * (low - high)).exp()).collect()
}

fn final_sigma(settings: &Settings, sigma_min: f32) -> f64 {
    match settings.final_sigma {
        FinalSigma::Zero => 0.0,
        FinalSigma::Min => f64::from(sigma_min),
    }
}

/// Where a sigma lies in the table, by linear interpolation of the logarithm (`_sigma_to_t`).
fn sigma_to_timestep(sigma: f64, sigmas: &[f32]) -> f64 {
    let wanted = sigma.max(1e-10).ln();
    let log = |i: usize| sigmas[i].ln();
    let low = sigmas.iter().rposition(|s| f64::from(s.ln()) <= wanted).unwrap_or(0).min(sigmas.len() - 2);
    let span = f64::from(log(low) - log(low + 1));
    let share = ((f64::from(log(low)) - wanted) / span).clamp(0.0, 1.0);
    (1.0 - share) * low as f64 + share * (low + 1) as f64
}

fn round_to_f32(value: f64) -> f64 {
    f64::from(value as f32)
}

fn wrong_steps(steps: usize, expected: String) -> Error {
    Error::InvalidValue { field: "steps", value: steps.to_string(), expected }
}
