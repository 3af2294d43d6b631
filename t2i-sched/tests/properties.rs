//! What holds of every sampler, whatever the numbers.

#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde_json::json;
use t2i_core::Options;
use t2i_sched::samplers::{DpmSolver, Euler, EulerAncestral};
use t2i_sched::{BoxedSampler, Prediction, Schedule, samplers};
use t2i_sched::{Denoise, Level, Noise, Plan, Sampler, SchedulerConfig, SharedNoise, sampler_names, steps, try_steps};

fn device() -> Device {
    Device::flex()
}

fn config() -> SchedulerConfig {
    let json = json!({ "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "steps_offset": 1, "clip_sample": false });
    SchedulerConfig::from_options(Options::from_json("test", json).unwrap()).unwrap()
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    let values: Vec<f32> = tensor.into_data().try_into_vec().unwrap();
    assert!(values.iter().all(|v| v.is_finite()));
    values
}

/// The exact posterior mean for data of two equal Gaussians at -1 and 1 of deviation 0.3.
fn mixture(x: Tensor<4>, level: Level) -> Tensor<4> {
    let Level { alpha, sigma } = level;
    let variance = alpha.powi(2) * 0.09 + sigma.powi(2);
    // The log odds of the component at 1 are 2 * alpha * x / variance.
    let mean = x.clone().mul_scalar(alpha / variance).tanh();
    mean.clone() + (x - mean.mul_scalar(alpha)).mul_scalar(alpha * 0.09 / variance)
}

/// `n` steps of equal `lambda` from -2.5 to 2, short of the clean end where solvers fall back to the first order.
fn levels(n: usize, level: fn(f64) -> Level) -> Vec<Level> {
    (0..=n).map(|i| level(-2.5 + 4.5 * i as f64 / n as f64)).collect()
}

fn vp(lambda: f64) -> Level {
    Level::ve((-lambda).exp()).to_vp()
}

fn ve(lambda: f64) -> Level {
    Level::ve((-lambda).exp())
}

/// The end of a run in f64. The start is on the sphere of the first level.
fn end(sampler: impl Sampler, levels: Vec<Level>) -> Vec<f64> {
    let start: Vec<f64> = (0..16).map(|i| -2.0 + 0.25 * f64::from(i)).collect();
    let x = Tensor::<4>::from_data(TensorData::new(start, [1, 1, 4, 4]), (&device(), DType::F64));
    let x = x.mul_scalar(levels[0].norm());
    let x = steps(sampler, x, levels, mixture).last().unwrap().x;
    let values: Vec<f64> = x.into_data().try_into_vec().unwrap();
    assert!(values.iter().all(|v| v.is_finite()));
    values
}

#[test]
fn dpm_plus_plus_is_one_sampler_in_all_coordinates() {
    let flow = |lambda: f64| Level::flow(1.0 / (1.0 + lambda.exp()));
    let clean = |x: Vec<f64>, level: Level| x.into_iter().map(|x| x / level.norm()).collect::<Vec<_>>();
    let reference = clean(end(DpmSolver::plus_plus(), levels(20, vp)), vp(2.0));
    for (name, level) in [("ve", ve as fn(f64) -> Level), ("flow", flow)] {
        let found = clean(end(DpmSolver::plus_plus(), levels(20, level)), level(2.0));
        let worst = found.iter().zip(&reference).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-13, "{name}: {worst:e}");
    }
}

#[test]
fn euler_is_ddim_in_all_coordinates() {
    let reference: Vec<f64> = end(Euler, levels(20, vp)).iter().map(|x| x / vp(2.0).alpha).collect();
    let found = end(Euler, levels(20, ve));
    let worst = found.iter().zip(&reference).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-13, "{worst:e}");
}

/// The last latent of a run of a sampler by name, each image from its own seed.
fn run(config: &SchedulerConfig, plan: &Plan, seeds: &[u64]) -> Vec<f32> {
    let mut noise = SharedNoise::seeded_each(seeds);
    let x = noise.sample([seeds.len(), 4, 4, 4], &device()).mul_scalar(plan.init_scale);
    let sampler = config.sampler(plan, &noise);
    values(steps(sampler, x, &plan.levels, mixture).last().unwrap().x)
}

#[test]
fn a_batch_is_its_images_alone() {
    // DPM adaptive has one step size, and diffusers' DPM-Solver SDE one Brownian path for the whole batch.
    for name in sampler_names().into_iter().filter(|name| !["DPM adaptive", "DPM++ SDE"].contains(name)) {
        for limits in [&[("clip_sample", json!(true))][..], &[("thresholding", json!(true))], &[]] {
            let set = |config: SchedulerConfig, (option, value): &(&str, _)| {
                config.with_option(option, json!(value)).unwrap()
            };
            let config = limits.iter().fold(config().with_sampler(name).unwrap(), set).with_eta(0.5);
            let plan = config.plan(6).unwrap();
            let alone: Vec<f32> = [3, 4, 5].iter().flat_map(|seed| run(&config, &plan, &[*seed])).collect();
            assert_eq!(run(&config, &plan, &[3, 4, 5]), alone, "{name}");
        }
    }
}

#[test]
fn levels_descend_to_a_clean_latent_or_the_cleanest_level() {
    for name in sampler_names().into_iter().filter(|name| !name.starts_with("DPM adaptive")) {
        for spacing in ["Linspace", "Leading", "Trailing"] {
            let Ok(config) = config().with_sampler(&format!("{name} {spacing}")) else {
                assert!(["LCM", "TCD"].contains(&name));
                continue;
            };
            for n in [4, 5, 17, 50, 61] {
                let plan = config.plan(n).unwrap();
                assert_eq!(plan.levels.len(), plan.timesteps.len() + 1);
                let descends = |pair: &[Level]| match name {
                    "PLMS" | "PNDM" => pair[0].sigma >= pair[1].sigma, // some levels come twice
                    _ => pair[0].sigma > pair[1].sigma,
                };
                assert!(plan.levels.windows(2).all(descends), "{name} {spacing} {n}: {:?}", plan.levels);
                assert!(plan.levels[plan.timesteps.len()].sigma < 0.03);
            }
        }
    }
}

#[test]
fn image_to_image_is_the_end_of_the_plan() {
    let plan = config().plan(10).unwrap();
    let part = plan.for_strength(0.75).unwrap();
    assert_eq!(part.levels, plan.levels[3..]);
    assert_eq!(part.timesteps, plan.timesteps[3..]);
    assert_eq!(part.timestep(part.levels[0]), 601.0);
    for wrong in [0.0, -0.1, 1.1, f64::NAN, 0.05] {
        assert!(plan.for_strength(wrong).unwrap_err().to_string().contains("strength"));
    }
}

#[test]
fn base_and_refiner_share_the_plan() {
    let plan = config().plan(10).unwrap();
    assert_eq!(plan.until(0.8).unwrap().timesteps, [901., 801., 701., 601., 501., 401., 301., 201.]);
    assert_eq!(plan.from(0.8).unwrap().timesteps, [101., 1.]);
    assert_eq!(plan.until(0.8).unwrap().levels.last(), plan.from(0.8).unwrap().levels.first());
    let heun = config().with_sampler("Heun Leading").unwrap().plan(10).unwrap();
    assert_eq!(heun.from(0.8).unwrap().timesteps, [201., 101., 1.]); // diffusers keeps pairs of timesteps together
    assert!(plan.until(1.0).is_err() && plan.from(0.0).is_err() && plan.until(0.001).is_err());
}

/// The first timestep of a refiner, by the rule of `get_timesteps` in diffusers' XL image-to-image pipeline on its own
/// `timesteps` of 10 steps: `(scheduler.timesteps < cutoff).sum()`, and one more for an even number.
#[test]
fn a_refiner_starts_with_a_whole_step() {
    let starts = [0.2, 0.25, 0.3, 0.5, 0.72, 0.75, 0.78, 0.8, 0.83, 0.86, 0.95, 0.9995];
    let pairs = [801., 801., 701., 501., 301., 301., 301., 201., 201., 201., 101., 1.];
    let half_way = [801., 701., 701., 501., 301., 301., 201., 201., 201., 101., 101., 1.];
    let classes = [
        ("HeunDiscrete", pairs),
        ("KDPM2AncestralDiscrete", pairs),
        ("KDPM2Discrete", half_way),
        ("DPMSolverSDE", half_way),
    ];
    for (class, expected) in classes {
        let json = json!({
            "_class_name": format!("{class}Scheduler"), "beta_start": 0.00085, "beta_end": 0.012,
            "beta_schedule": "scaled_linear", "timestep_spacing": "leading", "steps_offset": 1,
        });
        let plan = SchedulerConfig::from_options(Options::from_json("test", json).unwrap()).unwrap().plan(10).unwrap();
        let found = starts.map(|start| plan.from(start).unwrap().timesteps[0]);
        assert_eq!(found, expected, "{class}");
    }
}

#[test]
fn steps_count_down_and_tell_where_they_are() {
    let levels = [Level::ve(3.0), Level::ve(1.0), Level::CLEAN];
    let x = Tensor::ones([1, 1, 2, 2], &device());
    let mut run = steps(Euler, x, &levels, mixture);
    assert_eq!(run.len(), 2);
    let first = run.next().unwrap();
    assert_eq!((first.index, first.total, first.level, run.len()), (0, 2, levels[1], 1));
    let last = run.next().unwrap();
    assert_eq!(values(last.x), values(last.x0)); // the last step lands on the model's answer
    assert!(run.next().is_none());
    assert_eq!(steps(Euler, Tensor::ones([1, 1, 2, 2], &device()), &levels[..1], mixture).len(), 0);
}

#[test]
fn a_failure_is_the_last_item() {
    let levels = [Level::ve(3.0), Level::ve(2.0), Level::ve(1.0), Level::CLEAN];
    let mut calls = 0;
    let failing = |x: Tensor<4>, _: Level| {
        calls += 1;
        if calls > 1 { Err("NaN") } else { Ok(x) }
    };
    let x = Tensor::ones([1, 1, 2, 2], &device());
    let items: Vec<_> = try_steps(Euler, x, &levels, failing).map(|item| item.map(|step| step.index)).collect();
    assert_eq!(items, [Ok(0), Err("NaN")]);
}

#[test]
fn a_closure_is_a_sampler() {
    let euler = |x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>| {
        let x0 = denoise(x.clone(), from);
        from.advance(x, x0, to)
    };
    assert_eq!(end(euler, levels(5, ve)), end(Euler, levels(5, ve)));
}

#[test]
fn shared_noise_is_one_sequence() {
    let mut whole = SharedNoise::seeded(1);
    let mut other = whole.clone();
    let mut alone = t2i_sched::Generator::new(1);
    let shape = [1, 4, 2, 2];
    let draws = [whole.sample(shape, &device()), other.sample(shape, &device())].map(values);
    assert_eq!(draws.concat(), [alone.randn(16), alone.randn(16)].concat());
    let x = whole.sample(shape, &device());
    let mut step = EulerAncestral::new(other);
    step.step(x, Level::ve(2.0), Level::ve(1.0), &mut |x, level| mixture(x, level));
    (0..2).for_each(|_| _ = alone.randn(16));
    assert_eq!(values(whole.sample(shape, &device())), alone.randn(16)); // the sampler's draw came between
}

#[test]
fn samplers_of_few_models_are_finite_everywhere() {
    let noise = SharedNoise::seeded(1);
    let ladder = || samplers::Ladder::new(Schedule::stable_diffusion(), 10, Level::CLEAN);
    let inverse = |prediction| Box::new(samplers::DdimInverse::new(prediction, ladder())) as BoxedSampler<'_>;
    let all = || -> Vec<BoxedSampler<'static>> {
        vec![
            Box::new(samplers::Ipndm::diffusers()),
            Box::new(samplers::UnClip::new(noise.clone(), t2i_sched::cosine(1000))),
            Box::new(samplers::Consistency::new(0.002, 0.5).noisy(noise.clone(), 1.0)),
            inverse(Prediction::Epsilon),
            inverse(Prediction::V),
            inverse(Prediction::Sample),
        ]
    };
    let (vp, clean, pure) = (Level::vp, Level::CLEAN, Level::vp(0.0));
    let ways: [&[Level]; 8] = [
        &[vp(0.3), vp(0.6), clean],
        &[pure, vp(0.5), clean],
        &[pure, clean],
        &[vp(0.3), vp(0.3), vp(0.3)],
        &[vp(0.9), vp(0.3), vp(0.1)],
        &[clean, vp(0.9), vp(0.3)],
        &[Level::ve(14.6), Level::ve(3.0), Level::ve(0.5), clean],
        &[Level::flow(1.0), Level::flow(0.5), Level::flow(0.0)],
    ];
    for levels in ways {
        for (i, sampler) in all().into_iter().enumerate() {
            let x = Tensor::<4>::ones([1, 1, 2, 2], &Device::flex());
            let model = |x: Tensor<4>, level: Level| x.mul_scalar(level.alpha / level.norm().powi(2));
            for step in t2i_sched::steps(sampler, x, levels, model) {
                let found: Vec<f32> = step.x.into_data().try_into_vec().unwrap();
                assert!(found.iter().all(|v| v.is_finite()), "sampler {i}, {levels:?}");
            }
        }
    }
}
