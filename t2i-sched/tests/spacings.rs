//! Spacings against those of k-diffusion, diffusers, ComfyUI and A1111 (`tests/golden/make_spacings.py`).

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::parity;
use safetensors::{Dtype, SafeTensors};
use t2i_sched::spacing::{self, flow, k_diffusion};
use t2i_sched::{Level, Schedule};

/// What passes through a logarithm, a root or an angle in f32, which libraries round differently.
const F32: f64 = 1e-6;
/// What is computed in f64, or stored in f32 at the end.
const F64: f64 = 1e-7;

struct Case {
    name: String,
    arguments: Vec<f64>,
    n: usize,
    sigmas: Vec<f64>,
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/spacings/spacings.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let case = |(key, view): (&str, safetensors::tensor::TensorView<'_>)| {
        let parts: Vec<&str> = key.split('|').collect();
        let sigmas = match view.dtype() {
            Dtype::F32 => f32s(view.data()),
            _ => view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
        };
        let arguments = parts[1].split(',').map(|a| a.parse().unwrap()).collect();
        Case { name: parts[0].to_owned(), arguments, n: parts[2].parse().unwrap(), sigmas }
    };
    file.iter().map(case).collect()
}

fn f32s(data: &[u8]) -> Vec<f64> {
    data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
}

fn schedule(which: f64) -> Schedule {
    Schedule::from_betas(&match which as usize {
        0 => t2i_sched::scaled_linear(0.00085, 0.012, 1000),
        1 => t2i_sched::linear(0.0001, 0.02, 1000),
        _ => t2i_sched::cosine(1000),
    })
}

fn table(which: f64) -> &'static [f64] {
    use spacing::{AYS_SD15, AYS_SD15_FINE, AYS_SDXL, AYS_SDXL_FINE, AYS_SVD};
    [&AYS_SD15, &AYS_SDXL, &AYS_SVD, &AYS_SD15_FINE, &AYS_SDXL_FINE][which as usize]
}

/// Of long lists every ninth level is stored.
fn stored(sigmas: Vec<f64>) -> Vec<f64> {
    let every = if sigmas.len() > 500 { 9 } else { 1 };
    sigmas.into_iter().step_by(every).collect()
}

/// What ours gives, and how near it must be.
fn found(case: &Case) -> (Vec<f64>, f64) {
    let n = case.n;
    match (case.name.as_str(), case.arguments.as_slice()) {
        ("karras", &[low, high, rho]) => (k_diffusion::karras(low, high, rho, n), F32),
        ("exponential", &[low, high]) => (k_diffusion::exponential(low, high, n), F32),
        // Torch's power is not always the nearest f32, and its last bit counts as often as the span is long.
        ("polyexponential", &[low, high, rho]) => (k_diffusion::polyexponential(low, high, rho, n), 2.0 * F32),
        ("vp", &[beta_d, beta_min, eps]) => (k_diffusion::vp(beta_d, beta_min, eps, n), F32),
        ("laplace", &[low, high, mu, beta]) => (k_diffusion::laplace(low, high, mu, beta, n), F32),
        ("kl_optimal", &[low, high]) => (spacing::kl_optimal(low, high, n), F32),
        ("lu", &[low, high]) => (spacing::lu(low, high, n), F32),
        ("beta", &[low, high]) => (spacing::beta(low, high, n), F64),
        ("normal", &[which]) => (spacing::normal(&schedule(which), n), F32),
        ("sgm_uniform", &[which]) => (spacing::sgm_uniform(&schedule(which), n), F32),
        ("simple", &[which]) => (spacing::simple(&schedule(which), n), F32),
        ("ddim_uniform", &[which]) => (spacing::ddim_uniform(&schedule(which), n), F32),
        ("beta_of_table", &[which, alpha, beta]) => (spacing::beta_of_table(&schedule(which), alpha, beta, n), F32),
        ("timestep_of", &[which]) => {
            let sigmas = [1e-5, 0.0292, 0.03, 0.5, 1.0, 3.3, 14.0, 14.6, 80.0, 1e6];
            (sigmas.iter().map(|s| spacing::timestep_of(&schedule(which), *s)).collect(), F32)
        }
        ("sigma_of", &[which]) => {
            let timesteps = [0.0, 0.25, 1.0, 333.3, 500.5, 998.75, 999.0];
            (timesteps.iter().map(|t| spacing::sigma_of(&schedule(which), *t)).collect(), F32)
        }
        ("resample", &[which]) => (spacing::resample(table(which), n), F64),
        ("resample_to_zero", &[which]) => (spacing::resample_to_zero(table(which), n), F64),
        ("gits", &[coefficient]) => (spacing::gits(coefficient, n), F64),
        ("gits_sum", &[coefficient]) => {
            let row = |n| spacing::gits(coefficient, n).iter().sum::<f64>() + 0.02916753;
            (vec![(2..=20).map(row).sum()], F64)
        }
        ("linear_quadratic", &[threshold, steps]) => {
            (spacing::linear_quadratic(1.0, threshold, steps as usize, n), F64)
        }
        ("shifted_twice", &[shift]) => {
            let line = flow::uniform(flow::shift(0.001, shift), flow::shift(1.0, shift), n);
            (line.into_iter().map(|s| flow::shift(s, shift)).collect(), F64)
        }
        ("shift_exponential", &[mu, terminal]) => (shifted(n, terminal, |s| flow::shift_exponential(s, mu)), F64),
        ("shift_linear", &[mu, terminal]) => (shifted(n, terminal, |s| flow::shift_linear(s, mu)), F64),
        // f32 all the way: a last bit of what is near 1 remains when the smallest sigma is what is left of it.
        ("set_timesteps_exponential", &[mu, terminal]) => {
            (shifted(n, terminal, |s| flow::shift_exponential(s, mu)), 1.2e-7 / 0.02)
        }
        ("set_timesteps_linear", &[mu, terminal]) => {
            (shifted(n, terminal, |s| flow::shift_linear(s, mu)), 1.2e-7 / 0.02)
        }
        ("mu", &[tokens, base, max, base_shift, max_shift]) => {
            let rule = flow::Tokens { base: base as usize, max: max as usize, base_shift, max_shift };
            (vec![flow::mu(tokens as usize, rule)], F64)
        }
        (name, arguments) => panic!("{name} of {arguments:?}"),
    }
}

fn shifted(n: usize, terminal: f64, shift: impl Fn(f64) -> f64) -> Vec<f64> {
    let sigmas: Vec<f64> = flow::uniform(1.0 / n as f64, 1.0, n).into_iter().map(shift).collect();
    if terminal == 0.0 { sigmas } else { flow::stretch_to_terminal(&sigmas, terminal) }
}

/// The largest difference as a share of the expected number.
fn error(found: &[f64], expected: &[f64]) -> f64 {
    assert!(found.iter().all(|v| v.is_finite()));
    let share = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() / b.abs() };
    found.iter().zip(expected).map(share).fold(0.0, f64::max)
}

#[test]
fn spacings_are_those_of_the_reference() {
    let mut worst = BTreeMap::<String, (f64, f64)>::new();
    let mut failures = Vec::new();
    let cases = cases();
    for case in &cases {
        let (found, tolerance) = found(case);
        let found = stored(found);
        let error = match found.len() == case.sigmas.len() {
            true => error(&found, &case.sigmas),
            false => f64::INFINITY,
        };
        let most = worst.entry(case.name.clone()).or_insert((tolerance, 0.0));
        most.1 = most.1.max(error);
        if error > tolerance {
            failures.push(format!("{} {:?} n = {}: {error:e}", case.name, case.arguments, case.n));
        }
    }
    for (name, (tolerance, error)) in &worst {
        parity("spacing", name, *tolerance, *error);
    }
    assert!(cases.len() > 500);
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Every spacing with a wide range of `n`, as levels with the clean end.
fn all(n: usize) -> Vec<(&'static str, Vec<Level>)> {
    let (low, high) = (0.0291671582, 14.6146412293);
    let model = Schedule::stable_diffusion();
    let ve = [
        ("karras", k_diffusion::karras(low, high, 7.0, n)),
        ("exponential", k_diffusion::exponential(low, high, n)),
        ("polyexponential", k_diffusion::polyexponential(low, high, 2.0, n)),
        ("vp", k_diffusion::vp(19.9, 0.1, 1e-3, n)),
        ("diffusers karras", spacing::karras(low, high, n)),
        ("diffusers exponential", spacing::exponential(low, high, n)),
        ("beta", spacing::beta(low, high, n)),
        ("kl_optimal", spacing::kl_optimal(low, high, n)),
        ("lu", spacing::lu(low, high, n)),
        ("normal", spacing::normal(&model, n)),
        ("sgm_uniform", spacing::sgm_uniform(&model, n)),
        ("simple", spacing::simple(&model, n)),
        ("ddim_uniform", spacing::ddim_uniform(&model, n)),
        ("beta_of_table", spacing::beta_of_table(&model, 0.6, 0.6, n)),
        ("resample", spacing::resample(&spacing::AYS_SVD, n)),
        ("resample_to_zero", spacing::resample_to_zero(&spacing::AYS_SDXL, n)),
        ("gits", spacing::gits(1.2, n)),
    ];
    let in_flow = [
        ("uniform", flow::uniform(1e-3, 1.0, n)),
        ("linear_quadratic", spacing::linear_quadratic(1.0, 0.025, n / 2, n)),
        ("shifted", shifted(n, 0.1, |s| flow::shift(s, 3.0))),
    ];
    let levels = |level: fn(f64) -> Level| {
        move |(name, sigmas): (_, Vec<f64>)| (name, sigmas.into_iter().map(level).chain([Level::CLEAN]).collect())
    };
    ve.into_iter().map(levels(Level::ve)).chain(in_flow.into_iter().map(levels(Level::flow))).collect()
}

#[test]
fn spacings_descend() {
    for n in [1, 2, 3, 4, 7, 20, 61, 100, 999] {
        for (name, levels) in all(n) {
            spacing::check_descending(&levels).unwrap_or_else(|error| panic!("{name}, n = {n}: {error}"));
        }
    }
}

#[test]
fn no_steps_are_no_levels_and_many_are_finite() {
    for (name, levels) in all(0) {
        assert_eq!(levels, [Level::CLEAN], "{name}");
    }
    assert!(spacing::linspace(1000, 0).is_empty() && spacing::trailing(1000, 1000, 0).is_empty());
    assert!(spacing::leading(1000, 0, 1).is_empty() && k_diffusion::laplace(0.1, 9.0, 0.0, 0.5, 0).is_empty());
    for (name, levels) in all(2500) {
        spacing::check_finite(&levels).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn senseless_arguments_do_no_harm() {
    let model = Schedule::stable_diffusion();
    for parameter in [-1e9, 0.0, 1e-300, 1e6, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(spacing::beta_of_table(&model, parameter, 0.6, 9).iter().all(|sigma| sigma.is_finite()));
        assert!(spacing::sigma_of(&model, parameter).is_finite() || parameter.is_nan());
        assert!(spacing::timestep_of(&model, parameter).is_finite());
        assert_eq!(spacing::gits(parameter, 9).len(), 9);
        assert_eq!(k_diffusion::karras(parameter, parameter, parameter, 9).len(), 9);
        assert_eq!(k_diffusion::laplace(parameter, parameter, parameter, parameter, 9).len(), 9);
        assert_eq!(spacing::kl_optimal(parameter, parameter, 9).len(), 9);
        assert_eq!(flow::stretch_to_terminal(&[1.0, 0.5], parameter).len(), 2);
    }
    let single = Schedule::from_betas(&[0.5]);
    for sigmas in [spacing::normal(&single, 3), spacing::simple(&single, 3), spacing::sgm_uniform(&single, 3)] {
        assert_eq!(sigmas, [1.0; 3]);
    }
    assert!(spacing::ddim_uniform(&single, 3).is_empty());
    assert_eq!(spacing::beta_of_table(&single, 0.6, 0.6, 3), [1.0]);
}

#[test]
fn a_laplace_spacing_stays_within_its_ends() {
    let sigmas = k_diffusion::laplace(0.03, 15.0, 0.0, 0.5, 1000);
    assert!(sigmas.is_sorted_by(|a, b| a >= b));
    assert!(sigmas[0] == 15.0 && sigmas[1] < 15.0 + 1e-6);
}

#[test]
fn one_level_is_the_noisiest_but_where_the_reference_says_otherwise() {
    for (name, levels) in all(1) {
        let expected = match name {
            "resample" => Some(0.002),
            "ddim_uniform" => Some(f64::from(Schedule::stable_diffusion().sigmas()[1])),
            "lu" | "kl_optimal" | "vp" => None,
            "uniform" | "linear_quadratic" | "shifted" => Some(1.0),
            _ => Some(14.6146),
        };
        let close = expected.is_none_or(|sigma| (levels[0].sigma / sigma - 1.0).abs() < 1e-4);
        assert!(close && levels.len() == 2, "{name}: {levels:?}");
    }
}

#[test]
fn a_schedule_of_zero_terminal_snr_begins_at_infinity_and_is_refused_by_name() {
    let betas = t2i_sched::zero_terminal_snr(&t2i_sched::scaled_linear(0.00085, 0.012, 1000));
    let sigmas = spacing::normal(&Schedule::from_betas(&betas), 5);
    let levels: Vec<Level> = sigmas.into_iter().map(Level::ve).collect();
    let error = spacing::check_descending(&levels).unwrap_err().to_string();
    assert!(error.contains("sigma = inf at level 0"), "{error}");
}
