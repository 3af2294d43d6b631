//! What holds of a run of every sampler by name: saved and resumed, and over lists of levels that are not the usual ones.

#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Tensor};
use serde_json::json;
use t2i_core::Options;
use t2i_sched::spacing::{check_descending, check_finite};
use t2i_sched::{
    BoxedSampler, Level, Noise, SamplerName, SchedulerConfig, Setup, SharedNoise, State, Unconditional, sampler_names,
    steps, try_steps,
};

fn device() -> Device {
    Device::flex()
}

fn model(x: Tensor<4>, level: Level) -> Tensor<4> {
    x.mul_scalar(level.alpha / level.norm().powi(2)).tanh()
}

fn values(x: Tensor<4>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap()
}

/// A run of its own: levels, start, sampler and noise from the same seeds.
fn run(name: &str) -> (Vec<Level>, Tensor<4>, BoxedSampler<'static>, SharedNoise) {
    let json = json!({ "_class_name": "EulerDiscreteScheduler", "beta_schedule": "scaled_linear" });
    let config = SchedulerConfig::from_options(Options::from_json("test", json).unwrap()).unwrap();
    let config = config.with_sampler(name).unwrap().with_eta(0.5);
    let plan = config.plan(7).unwrap();
    let mut noise = SharedNoise::seeded(3);
    let x = noise.sample([1, 2, 3, 3], &device()).mul_scalar(plan.init_scale);
    let sampler = config.sampler(&plan, &noise);
    (plan.levels, x, sampler, noise)
}

#[test]
fn a_run_saved_after_any_step_goes_on_as_if_it_had_not_been() {
    let answer = |x: Tensor<4>, level: Level| Ok::<_, ()>(model(x, level));
    for name in sampler_names() {
        let (levels, x, sampler, _) = run(name);
        let whole = values(steps(sampler, x, &levels, model).last().unwrap().x);
        for stop in 1..levels.len() - 1 {
            let (levels, x, sampler, mut noise) = run(name);
            let mut first = try_steps(sampler, x, &levels, answer);
            (0..stop).for_each(|_| drop(first.next()));
            let bytes = first.save(&mut noise).to_bytes().unwrap();
            let (levels, x, sampler, mut noise) = run(name);
            let mut second = try_steps(sampler, x.zeros_like(), &levels, answer);
            second.resume(&State::from_bytes("run", &bytes).unwrap(), &mut noise, &device()).unwrap();
            assert_eq!(second.len(), levels.len() - 1 - stop, "{name}");
            assert_eq!(values(second.last().unwrap().unwrap().x), whole, "{name} after {stop}");
        }
    }
}

#[test]
fn the_state_of_another_sampler_is_refused() {
    let answer = |x: Tensor<4>, level: Level| Ok::<_, ()>(model(x, level));
    let (levels, x, sampler, mut noise) = run("Euler");
    let state = try_steps(sampler, x, &levels, answer).save(&mut noise);
    let (levels, x, sampler, mut noise) = run("DPM++ 2M");
    let error = try_steps(sampler, x, &levels, answer).resume(&state, &mut noise, &device()).unwrap_err();
    assert!(error.to_string().contains("sampler.history"), "{error}");
    let (levels, x, sampler, mut noise) = run("Euler");
    let mut long = try_steps(sampler, x.clone(), &levels, answer);
    (0..5).for_each(|_| drop(long.next()));
    let state = long.save(&mut noise);
    let short = try_steps(run("Euler").2, x, &levels[..3], answer).resume(&state, &mut noise, &device()).unwrap_err();
    assert!(short.to_string().contains("at most 2 steps"), "{short}");
}

fn by_name(name: SamplerName, levels: &[Level]) -> Vec<f32> {
    let mut noise = SharedNoise::seeded(1);
    let x = noise.sample([1, 2, 3, 3], &device()).mul_scalar(levels[0].norm());
    let sampler = name.build(&Setup::new(levels, &noise));
    values(steps(sampler, x, levels, model).last().unwrap().x)
}

#[test]
fn unusual_levels_have_defined_results() {
    let (ve, vp, flow) = (Level::ve, Level::vp, Level::flow);
    let lists = [
        ("one step to clean", vec![ve(14.6), Level::CLEAN]),
        ("one step", vec![ve(14.6), ve(1.0)]),
        ("two steps", vec![ve(14.6), ve(1.0), Level::CLEAN]),
        ("no end in 0", vec![ve(14.6), ve(3.0), ve(1.0), ve(0.3)]),
        ("level twice", vec![ve(14.6), ve(3.0), ve(3.0), ve(1.0), Level::CLEAN]),
        ("up", vec![ve(0.3), ve(1.0), ve(3.0), ve(14.6)]),
        ("up and down", vec![ve(3.0), ve(1.0), ve(2.0), ve(0.5), Level::CLEAN]),
        ("from pure noise", vec![vp(0.0), vp(0.2), vp(0.6), Level::CLEAN]),
        ("flow from pure noise", vec![flow(1.0), flow(0.7), flow(0.3), flow(0.0)]),
        ("hardly any noise", vec![ve(1e-3), ve(1e-4), Level::CLEAN]),
    ];
    let mut wrong = Vec::new();
    for name in SamplerName::all() {
        for (what, levels) in &lists {
            if by_name(name, levels).iter().any(|v| !v.is_finite()) {
                wrong.push(format!("{name}, {what}"));
            }
        }
        assert_eq!(steps(name.build(&Setup::new(&[], &SharedNoise::seeded(0))), start(), &[][..], model).count(), 0);
    }
    assert!(wrong.is_empty(), "not finite: {wrong:?}");
}

fn start() -> Tensor<4> {
    Tensor::ones([1, 2, 3, 3], &device())
}

#[test]
fn senseless_levels_are_refused() {
    let ve = Level::ve;
    for (levels, word) in [
        (vec![ve(3.0), ve(f64::NAN), Level::CLEAN], "NaN"),
        (vec![ve(f64::INFINITY), ve(1.0), Level::CLEAN], "inf"),
        (vec![ve(3.0), ve(-1.0), Level::CLEAN], "-1"),
        (vec![Level::CLEAN], "1 long"),
        (vec![], "0 long"),
    ] {
        let error = check_finite(&levels).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(check_descending(&[ve(1.0), ve(2.0), Level::CLEAN]).is_err());
    assert!(check_descending(&[ve(2.0), ve(1.0), ve(1.0)]).is_err());
    assert!(check_descending(&[ve(2.0), ve(1.0)]).is_ok());
}

#[test]
fn the_samplers_of_cfg_plus_plus_look_at_the_unconditional_answer() {
    let levels = [Level::ve(3.0), Level::ve(2.0), Level::ve(1.0), Level::ve(0.5)];
    for name in SamplerName::all().filter(|name| name.as_str().ends_with("CFG++")) {
        let end = |guided: bool| {
            let (slot, noise) = (Unconditional::default(), SharedNoise::seeded(1));
            let setup = Setup { unconditional: slot.clone(), ..Setup::new(&levels, &noise) };
            let denoise = move |x: Tensor<4>, level: Level| {
                if guided {
                    slot.put(x.zeros_like());
                }
                model(x, level)
            };
            values(steps(name.build(&setup), start(), &levels, denoise).last().unwrap().x)
        };
        assert_ne!(end(true), end(false), "{name}");
    }
}
