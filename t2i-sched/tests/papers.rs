//! The samplers that no Python package has, against float64 transcriptions of their papers
//! (`tests/golden/make_papers.py`), and what holds of them in all coordinates.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{doubles as values, mixture, numbers, parity};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use t2i_sched::samplers::{
    Deis, DpmCorrection, DpmPlusPlus2mCfgPp, DpmPlusPlus2sAncestralCfgPp, DpmSolver, ErSde, Euler, EulerAncestral,
    EulerAncestralCfgPp, EulerCfgPp, Fresh, GradientEstimation, Heun, Ipndm, ResMultistep, Restart, RestartInterval,
    SaSecondOrder, SaSolver, Seeds2, Seeds3,
};
use t2i_sched::{
    BoxedSampler, Generator, Level, Memory, Noise, Sampler, Schedule, SharedNoise, State, Unconditional, cfg, steps,
    try_steps,
};

/// At every step, relative to the largest value of the transcription's latent.
const IN_F32: f64 = 1e-5;
/// The same in double precision, where only the order of the operations differs.
const IN_F64: f64 = 1e-10;
const GUIDANCE: f64 = 0.6;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/papers/");

fn device() -> Device {
    Device::flex()
}

// The model -----------------------------------------------------------------------------------------------------------

/// The same for one Gaussian of mean 0.2 and deviation 0.8.
fn unconditional(x: Tensor<4>, level: Level) -> Tensor<4> {
    let Level { alpha, sigma } = level;
    let weight = alpha * 0.64 / (alpha.powi(2) * 0.64 + sigma.powi(2));
    (x.sub_scalar(0.2 * alpha)).mul_scalar(weight).add_scalar(0.2)
}

fn model(guided: bool, slot: Unconditional) -> impl FnMut(Tensor<4>, Level) -> Tensor<4> {
    move |x, level| {
        let cond = mixture(x.clone(), level);
        if !guided {
            return cond;
        }
        let uncond = unconditional(x, level);
        slot.put(uncond.clone());
        cfg(cond, uncond, GUIDANCE)
    }
}

/// Torch's noise in either precision, and a record of the levels it was asked for.
#[derive(Clone)]
struct Recorded {
    generator: Generator,
    dtype: DType,
    draws: Arc<Mutex<Vec<(Level, Level)>>>,
}

impl Recorded {
    fn new(seed: u64, dtype: DType) -> Self {
        Self { generator: Generator::new(seed), dtype, draws: Arc::default() }
    }
}

impl Noise for Recorded {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let values = self.generator.randn(shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape).convert_dtype(self.dtype), (device, self.dtype))
    }

    fn between(&mut self, from: Level, to: Level, shape: [usize; 4], device: &Device) -> Tensor<4> {
        self.draws.lock().unwrap().push((from, to));
        self.sample(shape, device)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        self.generator.remember(memory);
    }
}

/// The largest difference as a share of the largest expected value.
fn error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|v| v.is_finite()));
    let largest = expected.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

// The samplers --------------------------------------------------------------------------------------------------------

/// Restart's intervals; their upper ends are told in sigma and put in the coordinates of the run.
fn intervals(options: &Value, levels: &[Level]) -> Vec<RestartInterval> {
    let interval = |v: &Value| {
        let [index, count, times] = [0, 2, 3].map(|i| v[i].as_u64().unwrap() as usize);
        let low = *levels.get(index)?;
        let high = Level::ve(v[1].as_f64().unwrap());
        let high = match low {
            Level { alpha: 1.0, .. } => high,
            _ if (low.norm() - 1.0).abs() < 1e-9 => high.to_vp(),
            _ => Level::flow(high.sigma / (1.0 + high.sigma)),
        };
        Some(RestartInterval::karras(low, high, count, times))
    };
    options["intervals"].as_array().unwrap().iter().filter_map(interval).collect()
}

/// `tau` is a value between two sigmas of variance-exploding levels, and 0 elsewhere.
fn sa_solver(options: &Value, fresh: Fresh, levels: &[Level]) -> SaSolver {
    let order = |key: &str, default: u64| options.get(key).map_or(default, |v| v.as_u64().unwrap()) as usize;
    let is = |key: &str| options.get(key).is_some();
    let default = serde_json::json!([1.0, 0.3, 5.0]);
    let tau = options.get("tau").unwrap_or(&default);
    let [value, low, high] = [0, 1, 2].map(|i| tau[i].as_f64().unwrap());
    let tau = move |_: Level, to: Level| {
        let sigma = to.sigma / to.alpha;
        if low <= sigma && sigma <= high { value } else { 0.0 }
    };
    let solver = SaSolver::new(fresh, tau).orders(order("predictor", 3), order("corrector", 4));
    let solver = if is("in_noise") { solver.in_noise() } else { solver };
    let solver = if is("pece") { solver.pece() } else { solver };
    let solver = if is("simple") { solver.second_order(SaSecondOrder::Simple) } else { solver };
    solver.lower_order_final(levels)
}

/// A sampler by the name and options of the script.
fn sampler(case: &Value, levels: &[Level], noise: SharedNoise, slot: Unconditional) -> BoxedSampler<'static> {
    let (name, options) = (case["sampler"].as_str().unwrap(), &case["options"]);
    let number = |key: &str, default: f64| options.get(key).map_or(default, |v| v.as_f64().unwrap());
    let (eta, s_noise) = (number("eta", 1.0), number("s_noise", 1.0));
    let fresh = Fresh::new(noise.clone()).eta(eta).scale(s_noise);
    let cfg_pp = options.get("cfg_pp").is_some();
    let ode = options.get("scaler").is_some();
    match name {
        "gradient_estimation" => {
            let sampler = GradientEstimation::new(number("gamma", 2.0));
            Box::new(if cfg_pp { sampler.cfg_pp(slot) } else { sampler })
        }
        "res_multistep" => {
            let sampler = if eta == 0.0 { ResMultistep::new() } else { ResMultistep::ancestral(fresh) };
            Box::new(if cfg_pp { sampler.cfg_pp(slot) } else { sampler })
        }
        "er_sde" => {
            let sampler = if ode { ErSde::ode() } else { ErSde::new(fresh) };
            Box::new(sampler.max_stage(number("stage", 3.0) as usize))
        }
        "euler_cfg_pp" if eta == 0.0 => Box::new(EulerCfgPp::new(slot)),
        "euler_cfg_pp" => Box::new(EulerAncestralCfgPp::new(fresh, slot)),
        "dpmpp_2m_cfg_pp" => Box::new(DpmPlusPlus2mCfgPp::new(slot)),
        "dpmpp_2s_ancestral_cfg_pp" => Box::new(DpmPlusPlus2sAncestralCfgPp::new(fresh, slot)),
        "seeds_2" => {
            let sampler = Seeds2::new(fresh).r(number("r", 0.5));
            let exact = number("phi", 1.0) == 2.0;
            Box::new(if exact { sampler.weights(DpmCorrection::Heun) } else { sampler })
        }
        "seeds_3" => {
            let sampler = Seeds3::new(fresh);
            Box::new(sampler.r(number("r_1", 1.0 / 3.0), number("r_2", 2.0 / 3.0)))
        }
        "restart" => Box::new(Restart::new(Heun, intervals(options, levels), noise).s_noise(s_noise)),
        "ipndm" => Box::new(Ipndm::new(number("order", 4.0) as usize)),
        "ipndm_v" => Box::new(Ipndm::variable(number("order", 4.0) as usize)),
        "deis" if options.get("mode").is_some() => Box::new(Deis::rho(number("order", 3.0) as usize)),
        "deis" => Box::new(Deis::tab(number("order", 3.0) as usize)),
        "sa_solver" => Box::new(sa_solver(options, fresh, levels)),
        _ => panic!("no sampler {name}"),
    }
}

/// The cases of a file, each with its grid's levels.
fn cases_of(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{GOLDEN}{file}.json")).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let grids = file["grids"].take();
    let with_grid = |case: &Value| {
        let mut case = case.clone();
        let grid = grids[case["grid"].as_str().unwrap()].as_object().unwrap().clone();
        case.as_object_mut().unwrap().extend(grid);
        case
    };
    file["cases"].as_array().unwrap().iter().map(with_grid).collect()
}

fn cases() -> Vec<Value> {
    cases_of("cases")
}

fn sigmas(case: &Value) -> Vec<f64> {
    numbers(&case["sigmas"])
}

/// The latents of a path.
fn latents(path: TensorView<'_>) -> Vec<Vec<f64>> {
    let data = path.data();
    let all: Vec<f64> = match path.dtype() {
        Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
        _ => data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
    };
    all.chunks_exact(18).map(<[f64]>::to_vec).collect()
}

/// The latents of a case's run at these levels, the first and those after each step, and its draws.
fn path(case: &Value, levels: &[Level], dtype: DType) -> (Vec<Vec<f64>>, Vec<(Level, Level)>) {
    let source = Recorded::new(case["seed"].as_u64().unwrap(), dtype);
    let draws = source.draws.clone();
    let mut noise = SharedNoise::new(source);
    let x = noise.sample([1, 2, 3, 3], &device()).mul_scalar(levels[0].sigma);
    let slot = Unconditional::default();
    let sampler = sampler(case, levels, noise, slot.clone());
    let model = model(case["guided"].as_bool().unwrap(), slot);
    let path = steps(sampler, x.clone(), levels, model).map(|step| values(step.x));
    let path = std::iter::once(values(x)).chain(path).collect();
    let draws = draws.lock().unwrap().clone();
    (path, draws)
}

fn worst(found: &[Vec<f64>], expected: &[Vec<f64>]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| error(a, b)).fold(0.0, f64::max)
}

/// The case without its numbers.
fn label(case: &Value) -> String {
    format!("{} {}, {}", case["sampler"].as_str().unwrap(), case["options"], case["grid"].as_str().unwrap())
}

// Tests ---------------------------------------------------------------------------------------------------------------

#[test]
fn paths_are_those_of_the_papers() {
    let bytes = std::fs::read(format!("{GOLDEN}paths.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut failures = Vec::new();
    for (i, case) in cases().iter().enumerate() {
        let expected = latents(file.tensor(&i.to_string()).unwrap());
        let levels: Vec<Level> = sigmas(case).into_iter().map(Level::ve).collect();
        for (dtype, tolerance) in [(DType::F32, IN_F32), (DType::F64, IN_F64)] {
            let (found, draws) = path(case, &levels, dtype);
            let worst = worst(&found, &expected);
            parity(&format!("sampler of a paper, every step, {dtype:?}"), &label(case), tolerance, worst);
            if worst > tolerance {
                failures.push(format!("{i} {} {dtype:?}: {worst:.1e}", label(case)));
            }
            let asked: Vec<(f64, f64)> = case["draws"]
                .as_array()
                .unwrap()
                .iter()
                .map(|d| (d[0].as_f64().unwrap(), d[1].as_f64().unwrap()))
                .collect();
            let close = |((from, to), (a, b)): (&(Level, Level), &(f64, f64))| {
                (from.sigma - a).abs() < 1e-12 * a && (to.sigma - b).abs() < 1e-12 * b
            };
            if draws.len() != asked.len() || !draws.iter().zip(&asked).all(close) {
                failures.push(format!("{i} {}: draws {draws:?} for {asked:?}", label(case)));
            }
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

/// One run of diffusers' scheduler with our solver, in either precision.
fn sa_scheduler(case: &Value, dtype: DType) -> Vec<Vec<f64>> {
    let levels: Vec<Level> = sigmas(case).into_iter().map(|sigma| Level::ve(sigma).to_vp()).collect();
    let options = &case["options"];
    let order = |key: &str| options[key].as_u64().unwrap() as usize;
    let told: Vec<(Level, f64)> = levels.iter().copied().zip(numbers(&case["timesteps"])).collect();
    let tau = move |from: Level, _: Level| {
        let timestep = told.iter().find(|(level, _)| *level == from).unwrap().1;
        if (200.0..=800.0).contains(&timestep) { 1.0 } else { 0.0 }
    };
    let mut noise = SharedNoise::new(Recorded::new(case["seed"].as_u64().unwrap(), dtype));
    let x = noise.sample([1, 2, 3, 3], &device());
    let solver = SaSolver::diffusers(noise, tau).orders(order("predictor_order"), order("corrector_order"));
    let solver = if options["algorithm_type"] == "noise_prediction" { solver.in_noise() } else { solver };
    let lower = options["lower_order_final"].as_bool().unwrap();
    let solver = if lower { solver.lower_order_final(&levels) } else { solver };
    let path = steps(solver, x.clone(), &levels, mixture).map(|step| values(step.x));
    std::iter::once(values(x)).chain(path).collect()
}

#[test]
fn sa_solver_is_that_of_diffusers() {
    let cases = cases_of("sa_scheduler");
    let bytes = std::fs::read(format!("{GOLDEN}sa_scheduler.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut failures = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        for (dtype, name, tolerance) in [(DType::F32, "f32", IN_F32), (DType::F64, "f64", IN_F64)] {
            let expected = latents(file.tensor(&format!("{i}.{name}")).unwrap());
            let worst = worst(&sa_scheduler(case, dtype), &expected);
            parity(&format!("SASolverScheduler, every step, {name}"), &case["options"].to_string(), tolerance, worst);
            if worst > tolerance {
                failures.push(format!("{i} {} {} {name}: {worst:.1e}", case["options"], sigmas(case).len()));
            }
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

/// Variance-preserving and flow runs are the variance-exploding one in other coordinates, noise included.
#[test]
fn each_is_one_sampler_in_all_coordinates() {
    let flow = |level: Level| Level::flow(level.sigma / (1.0 + level.sigma));
    for case in cases() {
        let ve: Vec<Level> = sigmas(&case).into_iter().map(Level::ve).collect();
        let expected = path(&case, &ve, DType::F64).0;
        for coordinates in [Level::to_vp as fn(Level) -> Level, flow] {
            let levels: Vec<Level> = ve.iter().map(|level| coordinates(*level)).collect();
            let found = path(&case, &levels, DType::F64).0;
            let found: Vec<Vec<f64>> =
                found.iter().zip(&levels).map(|(x, l)| x.iter().map(|x| x / l.alpha).collect()).collect();
            let worst = worst(&found, &expected);
            assert!(worst < 1e-11, "{}: {worst:e} at {:?}", label(&case), levels[0]);
        }
    }
}

/// The levels of runs at the edges: from pure noise, one step, levels that repeat, up and down again, hot and cold.
fn edges() -> Vec<Vec<Level>> {
    let vp = |values: &[f64]| values.iter().map(|alpha_cumprod| Level::vp(*alpha_cumprod)).collect::<Vec<_>>();
    let ve = |values: &[f64]| values.iter().map(|sigma| Level::ve(*sigma)).collect::<Vec<_>>();
    let flow = |values: &[f64]| values.iter().map(|sigma| Level::flow(*sigma)).collect::<Vec<_>>();
    vec![
        vp(&[0.0, 0.1, 0.3, 0.6, 0.9, 1.0]),
        vp(&[0.0, 1.0]),
        vp(&[0.5, 0.6]),
        flow(&[1.0, 0.8, 0.6, 0.3, 0.1, 0.0]),
        ve(&[5.0, 0.0]),
        ve(&[5.0, 2.0]),
        ve(&[5.0, 5.0, 2.0, 2.0, 2.0, 1.0, 0.5, 0.0]),
        ve(&[5.0, 3.0, 1.0, 3.0, 2.0, 1.0, 0.5, 0.2]),
        ve(&[4e3, 3.9e3, 1e2, 1.0, 1e-3, 1e-5, 0.0]),
    ]
}

#[test]
fn edges_are_finite() {
    for case in cases() {
        for levels in edges() {
            for dtype in [DType::F32, DType::F64] {
                let path = std::panic::catch_unwind(|| path(&case, &levels, dtype));
                assert!(path.is_ok(), "{} {levels:?}", label(&case));
            }
        }
    }
}

#[test]
fn a_step_to_a_clean_latent_ends_at_the_answer() {
    for case in cases() {
        let levels: Vec<Level> = [3.0, 1.0, 0.5, 0.0].map(Level::ve).to_vec();
        let slot = Unconditional::default();
        let noise = SharedNoise::seeded(1);
        let sampler = sampler(&case, &levels, noise, slot.clone());
        let x = Tensor::ones([1, 2, 3, 3], &device());
        let last = steps(sampler, x, &levels, model(case["guided"].as_bool().unwrap(), slot)).last().unwrap();
        assert!(error(&values(last.x), &values(last.x0)) < 1e-6, "{}", label(&case));
    }
}

#[test]
fn a_run_goes_on_where_it_was_saved() {
    for case in cases() {
        let levels: Vec<Level> = sigmas(&case).into_iter().map(Level::ve).collect();
        let start = || {
            let noise = SharedNoise::seeded(case["seed"].as_u64().unwrap());
            let x = noise.clone().sample([1, 2, 3, 3], &device()).mul_scalar(levels[0].sigma);
            let slot = Unconditional::default();
            let sampler = sampler(&case, &levels, noise.clone(), slot.clone());
            let mut model = model(case["guided"].as_bool().unwrap(), slot);
            let denoise = move |x: Tensor<4>, level: Level| Ok::<_, std::convert::Infallible>(model(x, level));
            (try_steps(sampler, x, levels.clone(), denoise), noise)
        };
        let whole: Vec<Vec<f64>> = start().0.map(|step| values(step.unwrap().x)).collect();
        for done in 0..levels.len() - 1 {
            let (mut first, mut noise) = start();
            (&mut first).take(done).for_each(drop);
            let state = serde_json::to_string(&first.save(&mut noise)).unwrap();
            let state: State = serde_json::from_str(&state).unwrap();
            let (mut second, mut noise) = start();
            second.resume(&state, &mut noise, &device()).unwrap();
            let rest: Vec<Vec<f64>> = second.map(|step| values(step.unwrap().x)).collect();
            assert_eq!(rest, whole[done..], "{} after {done}", label(&case));
        }
    }
}

#[test]
fn restart_has_the_papers_settings_for_stable_diffusion() {
    let schedule = Schedule::stable_diffusion();
    for to_coordinates in [Level::to_vp as fn(Level) -> Level, Level::to_ve] {
        let timesteps = (0..50).map(|i| 981 - 20 * i as usize);
        let levels: Vec<Level> = timesteps.map(|t| to_coordinates(schedule.level(t))).chain([Level::CLEAN]).collect();
        for (guidance, ends) in [(2.0, &[(9.0, 1.0), (10.0, 5.0)][..]), (3.0, &[(3.0, 0.1)]), (8.0, &[(2.0, 0.1)])] {
            let intervals = RestartInterval::stable_diffusion(guidance, &schedule, &levels);
            assert_eq!(intervals.len(), ends.len());
            for (interval, (high, low)) in intervals.iter().zip(ends) {
                let found = interval.levels();
                assert_eq!(found.len(), if *low == 0.1 { 10 } else { 5 });
                assert!(found.windows(2).all(|pair| pair[0].h(pair[1]) > 0.0), "{found:?}");
                assert!(levels.contains(&found[found.len() - 1]));
                let sigma = |level: &Level| level.to_ve().sigma;
                assert!((sigma(&found[0]) / high - 1.0).abs() < 0.01, "{found:?}");
                assert!((sigma(&found[found.len() - 1]) - low).abs() < 0.5 * low, "{found:?}");
            }
            let sampler = Restart::new(Heun, intervals, SharedNoise::seeded(0));
            values(steps(sampler, start(levels[0]).cast(DType::F32), &levels, mixture).last().unwrap().x);
        }
    }
}

#[test]
fn unguided_cfg_pp_is_the_plain_sampler() {
    let levels: Vec<Level> = [9.0, 4.0, 2.5, 1.0, 0.4, 0.0].map(Level::ve).to_vec();
    let slot = Unconditional::default;
    assert!(error(&end(EulerCfgPp::new(slot()), &levels), &end(Euler, &levels)) < 1e-14);
    let solver = DpmPlusPlus2mCfgPp::new(slot());
    assert!(error(&end(solver, &levels), &end(DpmSolver::plus_plus(), &levels)) < 1e-14);
    let solver = ResMultistep::new().cfg_pp(slot());
    assert!(error(&end(solver, &levels), &end(ResMultistep::new(), &levels)) < 1e-14);
    let solver = GradientEstimation::default().cfg_pp(slot());
    assert!(error(&end(solver, &levels), &end(GradientEstimation::default(), &levels)) < 1e-14);
}

/// The step of `EulerAncestral` is that of the posterior `q(x_to | x_from, x0)` at flow levels as at all others: its
/// noise has the variance `to.sigma^2 * (1 - (from.alpha * to.sigma / (to.alpha * from.sigma))^2)`, and the whole that of
/// the level. A flow run is the variance-exploding one in other coordinates.
#[test]
fn ancestral_steps_at_flow_levels_are_the_posteriors() {
    let (from, to) = (Level::flow(0.8), Level::flow(0.6));
    let zero = || Tensor::<4>::zeros([1, 2, 3, 3], (&device(), DType::F64));
    let noise = || SharedNoise::new(Recorded::new(1, DType::F64));
    let only_noise = EulerAncestral::new(noise()).step(zero(), from, to, &mut |_, _| zero());
    let only_latent =
        EulerAncestral::new(noise()).step(zero() + 1.0, from, to, &mut |_, _| zero()) - only_noise.clone();
    let drawn = noise().sample([1, 2, 3, 3], &device());
    let deviation = (0.6f64.powi(2) * (1.0 - (0.2 * 0.6f64 / (0.4 * 0.8)).powi(2))).sqrt();
    assert!(error(&values(only_noise), &values(drawn * deviation)) < 1e-14);
    let kept = (0.6f64.powi(2) - deviation.powi(2)).sqrt() / 0.8;
    assert!(error(&values(only_latent), &[kept; 18]) < 1e-14);

    let ve: Vec<Level> = [4.0, 2.5, 1.0, 0.3, 0.1].map(Level::ve).to_vec();
    let run = |levels: &[Level]| {
        let x = zero() + levels[0].sigma;
        let last = steps(EulerAncestral::new(noise()), x, levels, mixture).last().unwrap().x;
        values(last / levels[4].alpha)
    };
    let flow: Vec<Level> = ve.iter().map(|level| Level::flow(level.sigma / (1.0 + level.sigma))).collect();
    assert!(error(&run(&flow), &run(&ve)) < 1e-12);
}

// Ends ----------------------------------------------------------------------------------------------------------------

fn start(level: Level) -> Tensor<4> {
    let start: Vec<f64> = (0..16).map(|i| -2.0 + 0.25 * f64::from(i)).collect();
    let x = Tensor::<4>::from_data(TensorData::new(start, [1, 1, 4, 4]), (&device(), DType::F64));
    x.mul_scalar(level.norm())
}

/// The end of a run in f64. The start is on the sphere of the first level.
fn end(sampler: impl Sampler, levels: &[Level]) -> Vec<f64> {
    values(steps(sampler, start(levels[0]), levels, mixture).last().unwrap().x)
}
