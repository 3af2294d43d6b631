//! Whole trajectories, plans, noise and schedules against those that diffusers and torch made
//! (`tests/golden/make_sched.py`).

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};
use common::{error, numbers, parity, values};
use serde_json::Value;
use t2i_core::Options;
use t2i_sched::{Generator, Level, Noise, Plan, Schedule, SchedulerConfig, SharedNoise, cfg, rescale, steps};

/// At every step, relative to the largest value of the reference's latent.
const TRAJECTORY: f64 = 1e-5;
/// Fractional timesteps pass through logarithms in f32, 5e-8 apart between libraries, over 0.003 a timestep.
const TIMESTEP: f64 = 1e-4;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/sched/");

fn load(name: &str) -> HashMap<String, (Vec<usize>, Vec<f32>)> {
    common::load(&format!("{GOLDEN}{name}.safetensors"))
}

fn tensor((shape, values): &(Vec<usize>, Vec<f32>)) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.clone(), shape.clone()), &Device::flex())
}

/// The networks of the reference script.
fn model(kind: &str, x: Tensor<4>, t: f64) -> Tensor<4> {
    if kind == "linear" {
        return x.mul_scalar(t).div_scalar(t + 1.0);
    }
    let bounded = x.clone() / (x.clone() * x).add_scalar(1.0);
    bounded.mul_scalar(0.5 + t / 2000.0).add_scalar(0.1)
}

/// The options of a case, with Stable Diffusion's betas where it says so.
fn options(case: &Value) -> Value {
    let mut options = case["config"].clone();
    let fields = options.as_object_mut().unwrap();
    if fields.remove("sd").is_some() {
        fields.insert("beta_start".into(), 0.00085.into());
        fields.insert("beta_end".into(), 0.012.into());
        fields.insert("beta_schedule".into(), "scaled_linear".into());
    }
    options
}

fn config(case: &Value) -> SchedulerConfig {
    let read = |json: Value| SchedulerConfig::from_options(Options::from_json("golden", json).unwrap()).unwrap();
    let config = match case.get("from") {
        Some(from) => read(from.clone()).with_sampler(case["name"].as_str().unwrap()).unwrap(),
        None => read(options(case)),
    };
    let config = match case.get("eta") {
        Some(Value::Null) => config, // the default of the class's step, and not the pipelines'
        eta => config.with_eta(eta.map_or(0.0, |eta| eta.as_f64().unwrap())),
    };
    match case["mu"].as_f64() {
        Some(mu) => config.with_mu(mu),
        None => config,
    }
}

/// The classes that list two timesteps a step, but one for the last.
const PAIRS: &[&str] = &[
    "HeunDiscreteScheduler",
    "FlowMatchHeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "DPMSolverSDEScheduler",
];

fn without_pairs(timesteps: Vec<f64>, class: &str) -> Vec<f64> {
    if PAIRS.contains(&class) { timesteps.into_iter().step_by(2).collect() } else { timesteps }
}

fn plans(case: &Value, config: &SchedulerConfig) -> (Plan, Plan) {
    let steps = case["steps"].as_u64().unwrap() as usize;
    if let Some(strength) = case["lcm_strength"].as_f64() {
        let plan = config.plan_for_strength(steps, strength).unwrap();
        return (plan.clone(), plan);
    }
    let plan = config.plan(steps).unwrap();
    match case["strength"].as_f64() {
        Some(strength) => (plan.clone(), plan.for_strength(strength).unwrap()),
        None => (plan.clone(), plan),
    }
}

fn check_timesteps(found: &[f64], expected: &[f64]) -> Result<(), String> {
    let close = |(a, b): (&f64, &f64)| if b.fract() == 0.0 { a == b } else { (a - b).abs() <= TIMESTEP };
    let same = found.len() == expected.len() && found.iter().zip(expected).all(close);
    if same { Ok(()) } else { Err(format!("timesteps {found:?} for {expected:?}")) }
}

/// The largest error over the steps, or what else differs.
fn check(case: &Value, image: &Tensor<4>, expected: &[f32]) -> Result<f64, String> {
    let config = config(case);
    let (whole, plan) = plans(case, &config);
    let class = config.class_name();
    let timesteps = numbers(&case["timesteps"]);
    let run = timesteps[case["skipped"].as_u64().unwrap_or(0) as usize..].to_vec();
    check_timesteps(&whole.timesteps, &without_pairs(timesteps, class))?;
    check_timesteps(&plan.timesteps, &without_pairs(run, class))?;
    let scale = case["init_scale"].as_f64().unwrap_or(1.0);
    if (whole.init_scale - scale).abs() > 1e-6 * scale {
        return Err(format!("init_scale {} for {scale}", whole.init_scale));
    }
    let mut noise = SharedNoise::seeded(case["seed"].as_u64().unwrap_or(0));
    let first = noise.sample(image.dims(), &Device::flex());
    let image_to_image = case.get("strength").is_some() || case.get("lcm_strength").is_some();
    let x = if image_to_image { plan.levels[0].mix(image.clone(), first) } else { first.mul_scalar(plan.init_scale) };
    let prediction = config.prediction();
    let network = case["model"].as_str().unwrap_or("nonlinear");
    let denoise = |x: Tensor<4>, level: Level| {
        let input = prediction.input(x.clone(), level);
        prediction.x0(model(network, input, plan.timestep(level)), x, level)
    };
    let sampler = config.sampler(&plan, &noise);
    let path = steps(sampler, x.clone(), &plan.levels, denoise).map(|step| step.x);
    let path: Vec<Vec<f32>> = std::iter::once(x).chain(path).map(values).collect();
    let expected = expected.chunks_exact(path[0].len());
    if path.len() != expected.len() {
        return Err(format!("{} latents for {}", path.len(), expected.len()));
    }
    let errors: Vec<f64> = path.iter().zip(expected).map(|(a, b)| error(a, b)).collect();
    let worst = errors.iter().copied().fold(0.0, f64::max);
    if worst <= TRAJECTORY {
        Ok(worst)
    } else {
        Err(format!("errors {}", errors.iter().map(|e| format!("{e:.0e} ")).collect::<String>()))
    }
}

/// The cases of one file, and at least so many of them.
fn trajectories_are_those_of(set: &str, at_least: usize) {
    let cases: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(format!("{GOLDEN}{set}.json")).unwrap()).unwrap();
    let expected = load(set);
    let image = tensor(&expected["image"]);
    let mut states = expected["states"].1.as_slice();
    let mut failures = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let of_this = states.split_off(..case["states"].as_u64().unwrap() as usize * image.shape().num_elements());
        match check(case, &image, of_this.unwrap()) {
            Ok(error) => {
                let class = case["config"]["_class_name"].as_str().unwrap();
                let set = set.trim_start_matches("trajectories").trim_start_matches('_');
                parity("sampler, every step", &format!("{class}, case {set}{i}"), TRAJECTORY, error);
            }
            Err(failure) => failures.push(format!("{i} {}: {failure}", case["config"])),
        }
    }
    assert!(cases.len() >= at_least && states.is_empty());
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn trajectories_are_those_of_diffusers() {
    trajectories_are_those_of("trajectories", 690);
}

#[test]
fn trajectories_of_more_classes_are_those_of_diffusers() {
    trajectories_are_those_of("trajectories_multi", 390);
    trajectories_are_those_of("trajectories_more", 300);
}

#[test]
fn trajectories_of_flow_matching_and_edm_are_those_of_diffusers() {
    trajectories_are_those_of("trajectories_flow", 480);
}

#[test]
fn noise_is_that_of_torch() {
    for (name, (_, expected)) in load("noise") {
        let (seed, sizes) = name.split_once(':').unwrap();
        let mut generator = Generator::new(seed.parse().unwrap());
        let draws = sizes.split(',').map(|n| n.parse().unwrap());
        let found: Vec<f32> = draws.flat_map(|n: usize| generator.randn(n)).collect();
        let small = sizes.split(',').all(|n| n.parse::<usize>().unwrap() < 16);
        let different = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        parity(
            if small { "noise, pairs" } else { "noise, blocks of 16" },
            &name,
            if small { 1e-7 } else { 0.0 },
            error(&found, &expected),
        );
        // Bit for bit; pairs in f64 may round differently where the system's sine does.
        assert!(if small { error(&found, &expected) < 1e-7 } else { different == 0 }, "{name}: {different} differ");
    }
}

#[test]
fn schedules_are_those_of_diffusers() {
    let betas = |name: &str| match name {
        "linear" => t2i_sched::linear(0.0001, 0.02, 1000),
        "cosine" => t2i_sched::cosine(1000),
        "sigmoid" => t2i_sched::sigmoid(0.0001, 0.02, 1000),
        "laplace" => t2i_sched::laplace(1000),
        "exponential" => t2i_sched::exponential(1000),
        _ => t2i_sched::scaled_linear(0.00085, 0.012, 1000),
    };
    for (name, (_, expected)) in load("schedules") {
        let betas = betas(&name);
        let zero = name.starts_with("zero_snr");
        let schedule = Schedule::from_betas(&if zero { t2i_sched::zero_terminal_snr(&betas) } else { betas });
        let schedule = if name.ends_with("finite") { schedule.finite() } else { schedule };
        assert!(schedule.alphas_cumprod().iter().all(|alpha| alpha.is_finite()), "{name}");
        let off = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs() / f64::from(b.max(f32::MIN_POSITIVE));
        let worst = schedule.alphas_cumprod().iter().zip(&expected).map(off).fold(0.0, f64::max);
        // Bit for bit; to rounding where exp or cos come from another library. Torch's square root, MKL's, is not
        // the nearest float, which shows near the end of a schedule that is shifted to 0.
        let tolerance = match name.as_str() {
            "linear" | "scaled_linear" => f64::MIN_POSITIVE,
            "zero_snr" | "zero_snr_finite" => 5e-6,
            _ => 1e-6,
        };
        assert!(worst < tolerance, "{name}: {worst:e}");
    }
}

#[test]
fn guidance_is_that_of_diffusers() {
    let golden = load("guidance");
    let (cond, uncond) = (tensor(&golden["cond"]), tensor(&golden["uncond"]));
    let guided = cfg(cond.clone(), uncond, 7.5);
    assert!(error(&values(guided.clone()), &golden["guided"].1) < 1e-6);
    assert!(error(&values(rescale(guided, cond, 0.7)), &golden["rescaled"].1) < 1e-6);
}
