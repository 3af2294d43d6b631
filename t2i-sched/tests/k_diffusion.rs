//! Whole trajectories of k-diffusion's samplers, against those that it made (`tests/golden/make_k_diffusion.py`).

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{error, numbers, parity, values};
use serde_json::Value;
use t2i_sched::samplers::{
    Churn, Churned, Dpm2, Dpm2Ancestral, DpmAdaptive, DpmAlgorithm, DpmCorrection, DpmFast, DpmSolver,
    Dpmpp2sAncestral, DpmppSde, Euler, EulerAncestral, Fresh, Heun, Lms, StepControl,
};
use t2i_sched::{BoxedSampler, Brownian, Generator, Level, Noise, SharedNoise, steps};

/// At every step, relative to the largest value of the reference's latent.
const TRAJECTORY: f64 = 1e-5;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/k_diffusion/");

fn json(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(format!("{GOLDEN}{name}.json")).unwrap()).unwrap()
}

fn load(name: &str) -> HashMap<String, (Vec<usize>, Vec<f32>)> {
    common::load(&format!("{GOLDEN}{name}.safetensors"))
}

/// The networks of the reference script.
fn model(kind: &str, x: Tensor<4>, level: Level) -> Tensor<4> {
    let variance = level.sigma.powi(2);
    if kind == "linear" {
        return x.div_scalar(1.0 + variance);
    }
    let variance = 0.09 + variance;
    let mean = x.clone().mul_scalar(1.0 / variance);
    let mean = mean.cast(DType::F64).tanh().cast(x.dtype()); // the nearest float
    mean.clone() + (x - mean).mul_scalar(0.09 / variance)
}

fn levels(case: &Value) -> Vec<Level> {
    let sigmas = match case.get("sigmas") {
        Some(sigmas) => numbers(sigmas),
        None => numbers(&json("levels")[case["levels"].as_str().unwrap()]),
    };
    sigmas.into_iter().map(Level::ve).collect()
}

fn noise(case: &Value, levels: &[Level]) -> SharedNoise {
    let seed = case["seed"].as_u64().unwrap_or(0);
    if case["noise"] == "brownian" {
        return SharedNoise::new(Brownian::new(seed, levels));
    }
    SharedNoise::seeded(seed)
}

fn sampler(case: &Value, levels: &[Level]) -> BoxedSampler<'static> {
    let option = |name: &str, default: f64| case["options"][name].as_f64().unwrap_or(default);
    let fresh = || Fresh::new(noise(case, levels)).eta(option("eta", 1.0)).scale(option("s_noise", 1.0)).in_f32();
    let churn = Churn {
        min: option("s_tmin", 0.0),
        max: option("s_tmax", f64::INFINITY),
        noise_scale: option("s_noise", 1.0),
        ..Churn::new(option("s_churn", 0.0), levels.len() - 1)
    };
    match case["sampler"].as_str().unwrap() {
        "euler" => Box::new(Churned::new(Euler, churn, noise(case, levels)).in_f32()),
        "heun" => Box::new(Churned::new(Heun, churn, noise(case, levels)).in_f32()),
        "dpm_2" => Box::new(Churned::new(Dpm2, churn, noise(case, levels)).in_f32()),
        "lms" => Box::new(Lms::new(option("order", 4.0) as usize)),
        "euler_ancestral" => Box::new(EulerAncestral::new(fresh())),
        "dpm_2_ancestral" => Box::new(Dpm2Ancestral::new(fresh())),
        "dpmpp_2m" => Box::new(DpmSolver::plus_plus()),
        "dpmpp_2s_ancestral" => Box::new(Dpmpp2sAncestral::new(fresh())),
        "dpmpp_sde" => Box::new(DpmppSde::new(fresh()).ratio(option("r", 0.5))),
        "dpmpp_2m_sde" if case["options"]["solver_type"] == "heun" => {
            Box::new(DpmSolver::new(DpmAlgorithm::DataSde(fresh()), DpmCorrection::Heun, 2))
        }
        "dpmpp_2m_sde" => Box::new(DpmSolver::sde(fresh())),
        "dpmpp_3m_sde" => Box::new(DpmSolver::sde_3m(fresh())),
        "dpm_fast" if option("eta", 0.0) == 0.0 => Box::new(DpmFast::new(option("n", 1.0) as usize)),
        "dpm_fast" => Box::new(DpmFast::stochastic(option("n", 1.0) as usize, fresh(), *levels.last().unwrap())),
        other => panic!("{other}"),
    }
}

/// The largest error over the steps, or those of all steps.
fn check(case: &Value, start: &(Vec<usize>, Vec<f32>), expected: &(Vec<usize>, Vec<f32>)) -> Result<f64, String> {
    let levels = levels(case);
    let sampler = sampler(case, &levels);
    let x = Tensor::from_data(TensorData::new(start.1.clone(), start.0.clone()), &Device::flex());
    let x = x.mul_scalar(levels[0].sigma);
    let kind = case["model"].as_str().unwrap();
    let path: Vec<_> =
        steps(sampler, x, &levels, |x, level| model(kind, x, level)).map(|step| values(step.x)).collect();
    assert_eq!(path.len(), expected.0[0]);
    let expected = expected.1.chunks_exact(start.1.len());
    let errors: Vec<f64> = path.iter().zip(expected).map(|(a, b)| error(a, b)).collect();
    let worst = errors.iter().copied().fold(0.0, f64::max);
    if worst <= TRAJECTORY {
        Ok(worst)
    } else {
        Err(format!("errors {}", errors.iter().map(|e| format!("{e:.0e} ")).collect::<String>()))
    }
}

#[test]
fn trajectories_are_those_of_k_diffusion() {
    let (cases, expected) = (json("trajectories"), load("trajectories"));
    let cases = cases.as_array().unwrap();
    let mut failures = Vec::new();
    for (i, case) in cases.iter().enumerate().filter(|(_, case)| case["levels"] != "adaptive") {
        match check(case, &expected["start"], &expected[&i.to_string()]) {
            Ok(error) => {
                let name = case["sampler"].as_str().unwrap();
                parity("k-diffusion, every step", &format!("{name}, case {i}"), TRAJECTORY, error);
            }
            Err(failure) => failures.push(format!("{i} {case}: {failure}")),
        }
    }
    assert!(cases.len() > 390);
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn adaptive_steps_are_those_of_k_diffusion() {
    let (cases, expected) = (json("trajectories"), load("trajectories"));
    let (high, low) = (Level::ve(14.6146), Level::ve(0.0292));
    for (i, case) in cases.as_array().unwrap().iter().enumerate().filter(|(_, case)| case["levels"] == "adaptive") {
        let option = |name: &str, default: f64| case["options"][name].as_f64().unwrap_or(default);
        let control = StepControl {
            order: option("order", 3.0) as usize,
            rtol: option("rtol", 0.05),
            atol: option("atol", 0.0078),
            h_init: option("h_init", 0.05),
            pcoeff: option("pcoeff", 0.0),
            icoeff: option("icoeff", 1.0),
            dcoeff: option("dcoeff", 0.0),
            accept_safety: option("accept_safety", 0.81),
        };
        let fresh = Fresh::new(SharedNoise::seeded(0)).eta(option("eta", 0.0)).scale(option("s_noise", 1.0));
        let fresh = if case["single"] == true { fresh.in_f32() } else { fresh };
        let (sender, accepted) = std::sync::mpsc::channel();
        let sampler = DpmAdaptive::stochastic(control, fresh)
            .watched(move |level, x| sender.send((level.sigma, values(x.clone().cast(DType::F32)))).unwrap());
        let (shape, start) = expected["start"].clone();
        let dtype = if case["double"] == true { DType::F64 } else { DType::F32 };
        let x =
            Tensor::<4>::from_data(TensorData::new(start, shape), &Device::flex()).cast(dtype).mul_scalar(high.sigma);
        let mut calls = 0;
        let kind = case["model"].as_str().unwrap();
        let denoise = |x: Tensor<4>, level: Level| {
            calls += 1;
            model(kind, x, level)
        };
        let end = steps(sampler, x, &[high, low], denoise).last().unwrap();
        let accepted: Vec<_> = accepted.iter().collect();
        assert_eq!(accepted.len() as u64, case["accepted"].as_u64().unwrap(), "{case}");
        assert_eq!(calls, case["calls"].as_u64().unwrap(), "{case}");
        assert_eq!(values(end.x.cast(DType::F32)), accepted.last().unwrap().1);
        let states = expected[&i.to_string()].1.chunks_exact(18).zip(numbers(&case["sigmas"]));
        for ((sigma, x), (state, at)) in accepted.iter().zip(states) {
            assert!((sigma / at - 1.0).abs() < 1e-5, "{case}: {sigma} for {at}");
            let error = error(x, state);
            parity("k-diffusion, every step", &format!("dpm_adaptive, case {i}"), TRAJECTORY, error);
            assert!(error <= TRAJECTORY, "{case}: {error:e} at {at}");
        }
    }
}

#[test]
fn brownian_noise_is_that_of_torchsde() {
    let (cases, expected) = (json("brownian"), load("brownian"));
    for (i, case) in cases.as_array().unwrap().iter().enumerate() {
        let shape: Vec<usize> = numbers(&case["shape"]).into_iter().map(|n| n as usize).collect();
        let shape: [usize; 4] = shape.try_into().unwrap();
        let levels = [&case["high"], &case["low"]].map(|sigma| Level::ve(sigma.as_f64().unwrap()));
        let mut noise = match case["seeds"].as_array() {
            Some(seeds) => Brownian::each(&seeds.iter().map(|s| s.as_u64().unwrap()).collect::<Vec<_>>(), &levels),
            None => Brownian::new(case["seeds"].as_u64().unwrap(), &levels),
        };
        let mut between = |query: &Value| {
            let ends = numbers(query);
            values(noise.between(Level::ve(ends[0]), Level::ve(ends[1]), shape, &Device::flex()))
        };
        let found: Vec<f32> = case["queries"].as_array().unwrap().iter().flat_map(&mut between).collect();
        let expected = &expected[&i.to_string()].1;
        // Bit for bit but for torch's square root, which is not always the nearest float.
        let error = error(&found, expected);
        parity("Brownian noise", &format!("case {i}"), 2e-7, error);
        assert!(error <= 2e-7, "{case}: {error:e}");
    }
}

#[test]
fn seeds_are_those_of_torch() {
    for (seed, numbers) in json("seeds")["randint63"].as_object().unwrap() {
        let mut generator = Generator::new(seed.parse().unwrap());
        for number in numbers.as_array().unwrap() {
            assert_eq!(generator.randint63(), number.as_u64().unwrap());
        }
    }
}
