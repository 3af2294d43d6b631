//! What holds of k-diffusion's samplers, whatever the numbers.

#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, Tensor, TensorData};
use t2i_sched::samplers::{
    Churn, Churned, Dpm2, Dpm2Ancestral, DpmAdaptive, DpmFast, DpmSolver, Dpmpp2sAncestral, DpmppSde, Euler,
    EulerAncestralRf, FlowHeun, Fresh, Heun, Lms, Renoise, StepControl,
};
use t2i_sched::{BoxedSampler, Brownian, Level, Noise, Sampler, SharedNoise, steps};

/// The exact posterior mean for data of two equal Gaussians at -1 and 1 of deviation 0.3.
fn mixture(x: Tensor<4>, level: Level) -> Tensor<4> {
    let Level { alpha, sigma } = level;
    let variance = alpha.powi(2) * 0.09 + sigma.powi(2);
    let mean = x.clone().mul_scalar(alpha / variance).tanh();
    mean.clone() + (x - mean.mul_scalar(alpha)).mul_scalar(alpha * 0.09 / variance)
}

fn ve(lambda: f64) -> Level {
    Level::ve((-lambda).exp())
}

fn levels(n: usize, level: fn(f64) -> Level) -> Vec<Level> {
    (0..=n).map(|i| level(-2.5 + 4.5 * i as f64 / n as f64)).collect()
}

/// The end of a run in f64, without the level's scale.
fn end(sampler: impl Sampler, levels: Vec<Level>) -> Vec<f64> {
    let start: Vec<f64> = (0..16).map(|i| -2.0 + 0.25 * f64::from(i)).collect();
    let x = Tensor::<4>::from_data(TensorData::new(start, [1, 1, 4, 4]), (&Device::flex(), DType::F64));
    let (x, alpha) = (x.mul_scalar(levels[0].norm()), levels[levels.len() - 1].alpha);
    let x = steps(sampler, x, levels, mixture).last().unwrap().x;
    x.div_scalar(alpha).into_data().try_into_vec().unwrap()
}

/// Every sampler, drawing from `noise`.
fn samplers(noise: &SharedNoise, last: Level) -> Vec<(&'static str, BoxedSampler<'static>)> {
    let churn = Churn::new(10.0, 4);
    let control = StepControl { order: 2, ..StepControl::default() };
    let fresh = || Fresh::from(noise.clone());
    vec![
        ("Euler, churned in f32", Box::new(Churned::new(Euler, churn, noise.clone()).in_f32())),
        ("Euler, churned", Box::new(Churned::new(Euler, churn, noise.clone()))),
        ("Heun, churned", Box::new(Churned::new(Heun, churn, noise.clone()))),
        ("Heun, flow", Box::new(FlowHeun)),
        ("Euler a, flow", Box::new(EulerAncestralRf::new(fresh()))),
        ("Renoise", Box::new(Renoise::new(fresh()))),
        ("DPM2", Box::new(Churned::new(Dpm2, churn, noise.clone()))),
        ("LMS", Box::new(Lms::new(4))),
        ("DPM2 a", Box::new(Dpm2Ancestral::new(fresh()))),
        ("DPM++ 2S a", Box::new(Dpmpp2sAncestral::new(fresh()))),
        ("DPM++ SDE", Box::new(DpmppSde::new(fresh()))),
        ("DPM++ 2M SDE", Box::new(DpmSolver::sde(fresh()))),
        ("DPM++ 2M SDE, eta 0", Box::new(DpmSolver::sde(fresh().eta(0.0)))),
        ("DPM++ 3M SDE", Box::new(DpmSolver::sde_3m(fresh()))),
        ("DPM fast", Box::new(DpmFast::new(7))),
        ("DPM fast, eta", Box::new(DpmFast::stochastic(9, fresh(), last))),
        ("DPM adaptive", Box::new(DpmAdaptive::new(StepControl::default()))),
        ("DPM adaptive, eta", Box::new(DpmAdaptive::stochastic(control, fresh()))),
        ("DPM2 a in f32", Box::new(Dpm2Ancestral::new(fresh().in_f32()))),
        ("DPM adaptive in f32", Box::new(DpmAdaptive::stochastic(control, fresh().eta(0.0).in_f32()))),
        ("DPM adaptive in f32, eta", Box::new(DpmAdaptive::stochastic(control, fresh().in_f32()))),
    ]
}

fn finite(x: Tensor<4>) -> bool {
    x.into_data().iter::<f32>().all(f32::is_finite)
}

#[test]
fn odd_levels_give_finite_latents() {
    let lists = [
        vec![Level::ve(14.6), Level::CLEAN],
        vec![Level::ve(14.6), Level::ve(3.0)],
        vec![Level::ve(157.0), Level::ve(0.01), Level::CLEAN],
        vec![Level::ve(0.3), Level::ve(3.0), Level::ve(14.6)],
        vec![Level::ve(14.6), Level::ve(3.0), Level::ve(3.0), Level::ve(1.0), Level::ve(0.3), Level::CLEAN],
        vec![Level::vp(0.0), Level::vp(0.2), Level::vp(0.5), Level::vp(0.9), Level::CLEAN],
        vec![Level::vp(0.0), Level::CLEAN],
        vec![Level::flow(1.0), Level::flow(0.7), Level::flow(0.7), Level::flow(0.2), Level::CLEAN],
    ];
    for levels in lists {
        let brownian = || SharedNoise::new(Brownian::new(5, &levels));
        for noise in [SharedNoise::seeded(5), brownian()] {
            for (name, sampler) in samplers(&noise, levels[levels.len() - 1]) {
                let x = noise.clone().sample([1, 2, 3, 3], &Device::flex()).mul_scalar(levels[0].norm());
                for step in steps(sampler, x, &levels, mixture) {
                    assert!(finite(step.x), "{name}, {levels:?}, step {}", step.index);
                }
            }
        }
    }
}

#[test]
fn a_saved_run_goes_on_as_if_nothing_had_happened() {
    let levels = [14.6, 5.0, 2.0, 0.8, 0.3, 0.1].map(Level::ve);
    let count = samplers(&SharedNoise::seeded(0), levels[5]).len();
    for i in 0..count {
        let make = |seed: u64| {
            let noise = SharedNoise::seeded(seed);
            let (name, sampler) = samplers(&noise, levels[5]).swap_remove(i);
            let x = Tensor::<4>::ones([1, 2, 3, 3], &Device::flex()).mul_scalar(14.6);
            let denoise = |x: Tensor<4>, level: Level| Ok::<_, ()>(mixture(x, level));
            (name, noise, t2i_sched::try_steps(sampler, x, &levels[..], denoise))
        };
        let (name, mut noise, mut run) = make(3);
        (0..3).for_each(|_| _ = run.next());
        let state = run.save(&mut noise);
        let (_, mut other_noise, mut other) = make(4);
        other.resume(&state, &mut other_noise, &Device::flex()).unwrap();
        let whole: Vec<Vec<f32>> = run.map(|step| step.unwrap().x.into_data().try_into_vec().unwrap()).collect();
        let resumed: Vec<Vec<f32>> = other.map(|step| step.unwrap().x.into_data().try_into_vec().unwrap()).collect();
        assert_eq!(whole.len(), 2);
        assert_eq!(whole, resumed, "{name}");
    }
}

#[test]
fn adaptive_steps_end() {
    let levels = [Level::ve(14.6), Level::ve(0.03)];
    let x = || Tensor::<4>::ones([1, 1, 4, 4], &Device::flex()).mul_scalar(14.6);
    let usual = StepControl::default();
    // A model that fails: the step ends after its first try, and a last call.
    let mut calls = 0;
    let nan = |x: Tensor<4>, _: Level| {
        calls += 1;
        x.mul_scalar(f64::NAN)
    };
    let end = steps(DpmAdaptive::new(usual), x(), &levels, nan).last().unwrap();
    assert!(!finite(end.x));
    assert_eq!(calls, 4);
    // Tolerances that f32 cannot meet, and settings that make no sense.
    for control in [
        StepControl { rtol: 0.0, atol: 1e-12, ..usual },
        StepControl { rtol: 0.0, atol: 0.0, ..usual },
        StepControl { h_init: 0.0, accept_safety: 1e9, ..usual },
        StepControl { h_init: f64::NAN, order: 0, ..usual },
        StepControl { rtol: f64::NAN, icoeff: f64::NAN, ..usual },
    ] {
        let single = Fresh::new(SharedNoise::seeded(0)).eta(0.0).in_f32();
        for sampler in [DpmAdaptive::new(control), DpmAdaptive::stochastic(control, single)] {
            assert!(finite(steps(sampler, x(), &levels, mixture).last().unwrap().x), "{control:?}");
        }
    }
}

#[test]
fn a_tighter_tolerance_is_nearer_to_the_truth() {
    let exact = end(Dpm2, levels(4096, ve));
    let error = |tolerance: f64| {
        let control = StepControl { rtol: tolerance, atol: tolerance, ..StepControl::default() };
        let found = end(DpmAdaptive::new(control), vec![ve(-2.5), ve(2.0)]);
        found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    let errors = [1e-1, 1e-3, 1e-5].map(error);
    assert!(errors[1] < errors[0] / 3.0 && errors[2] < errors[1] / 3.0 && errors[2] < 1e-4, "{errors:?}");
}
