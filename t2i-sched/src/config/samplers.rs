//! From a config to its sampler.

use super::SchedulerConfig;
use super::settings::{Dpm, FinalSigma, Solver, UniPc};
use crate::samplers::{
    Ddim, Ddpm, DpmAlgorithm, DpmCorrection, DpmSolver, Euler, EulerAncestral, Heun, Ladder, Landing, Lcm, Limited,
    Pndm, UniPc as UniPcSampler,
};
use crate::{BoxedSampler, Level, Plan, Sampler, SharedNoise};

/// See [`SchedulerConfig::sampler`].
pub(super) fn sampler(config: &SchedulerConfig, plan: &Plan, noise: SharedNoise) -> BoxedSampler<'static> {
    let settings = &config.settings;
    let schedule = settings.schedule.clone();
    let prediction = settings.prediction;
    match &settings.solver {
        Solver::Euler { .. } => Box::new(Euler),
        Solver::EulerAncestral => Box::new(EulerAncestral::new(noise)),
        Solver::Heun => limited(config, Heun),
        Solver::Ddim { last } => Box::new(Landing::new(ddim(config, noise), Ladder::new(schedule, plan.steps, *last))),
        Solver::Ddpm { variance } => limited(config, Ddpm::new(noise, *variance, config.schedule().level(0))),
        Solver::Pndm { last, skip_prk: true } => {
            Box::new(Pndm::plms(prediction, Ladder::new(schedule, plan.steps, *last)))
        }
        Solver::Pndm { last, skip_prk: false } => {
            let runge_kutta = plan.whole.iter().copied().take(12).collect();
            Box::new(Pndm::prk(prediction, Ladder::new(schedule, plan.steps, *last), runge_kutta))
        }
        Solver::Dpm(options) => limited(config, dpm(config, options, plan, noise)),
        Solver::UniPc(options) if options.predict_x0 => limited(config, unipc(options, plan)),
        Solver::UniPc(options) => Box::new(unipc(options, plan)), // the reference does not threshold noise
        Solver::Lcm { timestep_scaling, .. } => limited(config, Lcm::new(noise, schedule, *timestep_scaling)),
    }
}

/// Puts the config's limit on clean latents, if it has one, between the model and the sampler.
fn limited(config: &SchedulerConfig, sampler: impl Sampler + Send + 'static) -> BoxedSampler<'static> {
    match config.settings.limit {
        Some(limit) => Box::new(Limited::new(sampler, limit)),
        None => Box::new(sampler),
    }
}

fn ddim(config: &SchedulerConfig, noise: SharedNoise) -> Ddim {
    let ddim = if config.eta > 0.0 { Ddim::stochastic(config.eta, noise) } else { Ddim::new() };
    match config.settings.limit {
        Some(limit) => ddim.limited(limit),
        None => ddim,
    }
}

fn dpm(config: &SchedulerConfig, options: &Dpm, plan: &Plan, noise: SharedNoise) -> DpmSolver {
    let algorithm = match (options.noise_space, options.sde) {
        (false, false) => DpmAlgorithm::Data,
        (false, true) => DpmAlgorithm::DataSde(noise.into()),
        (true, false) => DpmAlgorithm::Noise,
        (true, true) => DpmAlgorithm::NoiseSde(noise),
    };
    let correction = if options.heun { DpmCorrection::Heun } else { DpmCorrection::Midpoint };
    let few = options.lower_order_final && starts(plan).len() < 15;
    let first_at_end = options.euler_at_final || few || config.settings.final_sigma == FinalSigma::Zero;
    let from_end = |i: usize| starts(plan).iter().rev().nth(i).copied();
    let last = from_end(0).filter(|_| first_at_end).map(|level| (level, 1));
    let second_last = from_end(1).filter(|_| few).map(|level| (level, 2));
    let caps = last.into_iter().chain(second_last).collect();
    DpmSolver::new(algorithm, correction, options.order).capped(caps)
}

fn unipc(options: &UniPc, plan: &Plan) -> UniPcSampler {
    let solver = match options.predict_x0 {
        true => UniPcSampler::new(options.norm, options.order),
        false => UniPcSampler::in_noise(options.norm, options.order),
    };
    let ends = starts(plan).iter().rev().copied().zip(1..options.order);
    let caps = if options.lower_order_final { ends.collect() } else { Vec::new() };
    let uncorrected = options.disable_corrector.iter().filter_map(|i| starts(plan).get(i + 1).copied());
    solver.capped(caps).uncorrected(uncorrected.collect())
}

/// The levels at which the steps of the whole plan start.
fn starts(plan: &Plan) -> &[Level] {
    &plan.whole[..plan.whole_timesteps.len()]
}
