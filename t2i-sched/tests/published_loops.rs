//! The sums and means of full loops that diffusers publishes in its own tests, `tests/schedulers` of
//! <https://github.com/huggingface/diffusers/tree/58eb52c0803ea9af3abec60841c2a093bdf1f951>, with their tolerances. They
//! are cited; nothing here was computed by this crate.
//!
//! What is not here: loops of one dimension, of a whole batch of timesteps at once, of custom timesteps, and `test_switch`,
//! which repeats a number.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};
use t2i_core::Options;
use t2i_sched::{Keep, Level, Memory, Plan, Prediction, Sampler, SchedulerConfig, SharedNoise, State};

/// One assertion of one test.
struct Published {
    /// `tests/schedulers/test_scheduler_<file>.py`
    file: &'static str,
    test: &'static str,
    /// What the test adds to its file's config, as JSON.
    options: &'static str,
    steps: usize,
    start: Start,
    /// The sum of the absolute values, and how far off it may be.
    sum: Option<(f64, f64)>,
    mean: (f64, f64),
}

/// Where a loop starts.
#[derive(Clone, Copy)]
enum Start {
    First,
    /// After so many steps, from the sample with noise.
    Noisy(usize),
    /// After so many steps, from the sample as it is.
    Late(usize),
}

use Start::{First, Late, Noisy};

/// What a loop does with `scale_model_input`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scaling {
    /// The class does nothing there, or the test does not call it.
    None,
    /// The scaled latent takes the place of the latent, also in the step.
    Kept,
    /// As in pipelines.
    Input,
}

const fn row(
    (file, test): (&'static str, &'static str),
    options: &'static str,
    (steps, start): (usize, Start),
    sum: Option<(f64, f64)>,
    mean: (f64, f64),
) -> Published {
    Published { file, test, options, steps, start, sum, mean }
}

#[rustfmt::skip] // one line an assertion
const PUBLISHED: &[Published] = &[
    row(("lms", "test_full_loop_no_noise"), "{}", (10, First), Some((1006.388, 0.01)), (1.31, 0.001)),
    row(("lms", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((0.0017, 0.01)), (2.2676e-06, 0.001)),
    row(("lms", "test_full_loop_device"), "{}", (10, First), Some((1006.388, 0.01)), (1.31, 0.001)),
    row(("lms", "test_full_loop_device_karras_sigmas"), r#"{"use_karras_sigmas": true}"#, (10, First), Some((3812.9927, 0.02)), (4.9648, 0.001)),
    row(("lms", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((27663.6895, 0.01)), (36.0204, 0.001)),
    row(("euler", "test_full_loop_no_noise"), "{}", (10, First), Some((10.0807, 0.01)), (0.0131, 0.001)),
    row(("euler", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((0.0002, 0.01)), (2.2676e-06, 0.001)),
    row(("euler", "test_full_loop_device"), "{}", (10, First), Some((10.0807, 0.01)), (0.0131, 0.001)),
    row(("euler", "test_full_loop_device_karras_sigmas"), r#"{"use_karras_sigmas": true}"#, (10, First), Some((124.52299499511719, 0.01)), (0.16213932633399963, 0.001)),
    row(("euler", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((57062.9297, 0.01)), (74.3007, 0.001)),
    row(("euler_ancestral", "test_full_loop_no_noise"), "{}", (10, First), Some((152.3192, 0.01)), (0.1983, 0.001)),
    row(("euler_ancestral", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((108.4439, 0.01)), (0.1412, 0.001)),
    row(("euler_ancestral", "test_full_loop_device"), "{}", (10, First), Some((152.3192, 0.01)), (0.1983, 0.001)),
    row(("euler_ancestral", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((56163.0508, 0.01)), (73.129, 0.001)),
    row(("heun", "test_full_loop_no_noise"), "{}", (10, First), Some((0.1233, 0.01)), (0.0002, 0.001)),
    row(("heun", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((4.6934e-07, 0.01)), (6.1112e-10, 0.001)),
    row(("heun", "test_full_loop_device"), "{}", (10, First), Some((0.1233, 0.01)), (0.0002, 0.001)),
    row(("heun", "test_full_loop_device_karras_sigmas"), r#"{"use_karras_sigmas": true}"#, (10, First), Some((0.00015, 0.01)), (1.9869554535034695e-07, 0.01)),
    row(("heun", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((75074.8906, 0.01)), (97.7538, 0.001)),
    row(("kdpm2_discrete", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((4.6934e-07, 0.01)), (6.1112e-10, 0.001)),
    row(("kdpm2_discrete", "test_full_loop_no_noise"), "{}", (10, First), Some((20.4125, 0.01)), (0.0266, 0.001)),
    row(("kdpm2_discrete", "test_full_loop_device"), "{}", (10, First), Some((20.4125, 0.01)), (0.0266, 0.001)),
    row(("kdpm2_discrete", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((70408.4062, 0.01)), (91.6776, 0.001)),
    row(("kdpm2_ancestral", "test_full_loop_no_noise"), "{}", (10, First), Some((13979.9433, 0.01)), (18.203, 0.005)),
    row(("kdpm2_ancestral", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((331.8133, 0.01)), (0.432, 0.001)),
    row(("kdpm2_ancestral", "test_full_loop_device"), "{}", (10, First), Some((13979.9433, 0.1)), (18.203, 0.001)),
    row(("kdpm2_ancestral", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((93087.3437, 0.01)), (121.2074, 0.005)),
    row(("dpm_sde", "test_full_loop_no_noise"), "{}", (10, First), Some((162.52383422851562, 0.01)), (0.211619570851326, 0.001)),
    row(("dpm_sde", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((119.8487548828125, 0.01)), (0.1560530662536621, 0.001)),
    row(("dpm_sde", "test_full_loop_device"), "{}", (10, First), Some((162.52383422851562, 0.01)), (0.211619570851326, 0.001)),
    row(("dpm_sde", "test_full_loop_device_karras_sigmas"), r#"{"use_karras_sigmas": true}"#, (10, First), Some((170.3135223388672, 0.01)), (0.23003872730981811, 0.01)),
    row(("sasolver", "test_full_loop_no_noise"), "{}", (10, First), Some((337.394287109375, 0.01)), (0.43931546807289124, 0.001)),
    row(("sasolver", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((193.1467742919922, 0.01)), (0.2514931857585907, 0.001)),
    row(("sasolver", "test_full_loop_device"), "{}", (10, First), Some((337.394287109375, 0.01)), (0.43931546807289124, 0.001)),
    row(("sasolver", "test_full_loop_device_karras_sigmas"), r#"{"use_karras_sigmas": true}"#, (10, First), Some((837.2554931640625, 0.01)), (1.0901764631271362, 0.01)),
    row(("deis", "test_full_loop_no_noise"), "{}", (10, First), None, (0.23916, 0.001)),
    row(("deis", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), None, (0.091, 0.001)),
    row(("deis", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((315.3016, 0.01)), (0.41054, 0.001)),
    row(("dpm_single", "test_full_uneven_loop"), "{}", (50, Late(3)), None, (0.2574, 0.001)),
    row(("dpm_single", "test_full_loop_no_noise"), "{}", (10, First), None, (0.2791, 0.001)),
    row(("dpm_single", "test_full_loop_with_karras"), r#"{"use_karras_sigmas": true}"#, (10, First), None, (0.2248, 0.001)),
    row(("dpm_single", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), None, (0.1453, 0.001)),
    row(("dpm_single", "test_full_loop_with_karras_and_v_prediction"), r#"{"prediction_type": "v_prediction", "use_karras_sigmas": true}"#, (10, First), None, (0.0649, 0.001)),
    row(("dpm_single", "test_full_loop_with_noise"), "{}", (10, Noisy(5)), Some((269.2187, 0.01)), (0.3505, 0.001)),
    row(("dpm_multi", "test_full_loop_no_noise"), "{}", (10, First), None, (0.3301, 0.001)),
    row(("dpm_multi", "test_full_loop_with_noise"), "{}", (10, Noisy(5)), Some((318.4111, 0.01)), (0.4146, 0.001)),
    row(("dpm_multi", "test_full_loop_no_noise_thres"), r#"{"thresholding": true, "dynamic_thresholding_ratio": 0.87, "sample_max_value": 0.5}"#, (10, First), None, (1.1364, 0.001)),
    row(("dpm_multi", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), None, (0.2251, 0.001)),
    row(("dpm_multi", "test_full_loop_with_karras_and_v_prediction"), r#"{"prediction_type": "v_prediction", "use_karras_sigmas": true}"#, (10, First), None, (0.2096, 0.001)),
    row(("dpm_multi", "test_full_loop_with_lu_and_v_prediction"), r#"{"prediction_type": "v_prediction", "use_lu_lambdas": true}"#, (10, First), None, (0.1554, 0.001)),
    row(("dpm_multi_inverse", "test_full_loop_no_noise"), "{}", (10, First), None, (0.7047, 0.001)),
    row(("dpm_multi_inverse", "test_full_loop_no_noise_thres"), r#"{"thresholding": true, "dynamic_thresholding_ratio": 0.87, "sample_max_value": 0.5}"#, (10, First), None, (19.8933, 0.001)),
    row(("dpm_multi_inverse", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), None, (1.5194, 0.001)),
    row(("dpm_multi_inverse", "test_full_loop_with_karras_and_v_prediction"), r#"{"prediction_type": "v_prediction", "use_karras_sigmas": true}"#, (10, First), None, (1.7833, 0.002)),
    row(("unipc", "test_full_loop_no_noise"), "{}", (10, First), None, (0.2464, 0.001)),
    row(("unipc", "test_full_loop_with_karras"), r#"{"use_karras_sigmas": true}"#, (10, First), None, (0.2925, 0.001)),
    row(("unipc", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), None, (0.1014, 0.001)),
    row(("unipc", "test_full_loop_with_karras_and_v_prediction"), r#"{"prediction_type": "v_prediction", "use_karras_sigmas": true}"#, (10, First), None, (0.1966, 0.001)),
    row(("unipc", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((315.5757, 0.01)), (0.4109, 0.001)),
    row(("ddim", "test_full_loop_no_noise"), "{}", (10, First), Some((172.0067, 0.01)), (0.223967, 0.001)),
    row(("ddim", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((52.5302, 0.01)), (0.0684, 0.001)),
    row(("ddim", "test_full_loop_with_set_alpha_to_one"), r#"{"set_alpha_to_one": true, "beta_start": 0.01}"#, (10, First), Some((149.8295, 0.01)), (0.1951, 0.001)),
    row(("ddim", "test_full_loop_with_no_set_alpha_to_one"), r#"{"set_alpha_to_one": false, "beta_start": 0.01}"#, (10, First), Some((149.0784, 0.01)), (0.1941, 0.001)),
    row(("ddim", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((354.5418, 0.01)), (0.4616, 0.001)),
    row(("ddim_inverse", "test_full_loop_no_noise"), "{}", (10, First), Some((671.6816, 0.01)), (0.8746, 0.001)),
    row(("ddim_inverse", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((1394.2185, 0.01)), (1.8154, 0.001)),
    row(("ddim_inverse", "test_full_loop_with_set_alpha_to_one"), r#"{"set_alpha_to_one": true, "beta_start": 0.01}"#, (10, First), Some((539.9622, 0.01)), (0.7031, 0.001)),
    row(("ddim_inverse", "test_full_loop_with_no_set_alpha_to_one"), r#"{"set_alpha_to_one": false, "beta_start": 0.01}"#, (10, First), Some((542.6722, 0.01)), (0.7066, 0.001)),
    row(("ddim_parallel", "test_full_loop_no_noise"), "{}", (10, First), Some((172.0067, 0.01)), (0.223967, 0.001)),
    row(("ddim_parallel", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((52.5302, 0.01)), (0.0684, 0.001)),
    row(("ddim_parallel", "test_full_loop_with_set_alpha_to_one"), r#"{"set_alpha_to_one": true, "beta_start": 0.01}"#, (10, First), Some((149.8295, 0.01)), (0.1951, 0.001)),
    row(("ddim_parallel", "test_full_loop_with_no_set_alpha_to_one"), r#"{"set_alpha_to_one": false, "beta_start": 0.01}"#, (10, First), Some((149.0784, 0.01)), (0.1941, 0.001)),
    row(("ddim_parallel", "test_full_loop_with_noise"), "{}", (10, Noisy(8)), Some((354.5418, 0.01)), (0.4616, 0.001)),
    row(("ddpm", "test_full_loop_no_noise"), "{}", (1000, First), Some((258.9606, 0.01)), (0.3372, 0.001)),
    row(("ddpm", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (1000, First), Some((202.0296, 0.01)), (0.2631, 0.001)),
    row(("ddpm", "test_full_loop_with_noise"), "{}", (1000, Noisy(998)), Some((387.9466, 0.01)), (0.5051, 0.001)),
    row(("ddpm_parallel", "test_full_loop_no_noise"), "{}", (1000, First), Some((258.9606, 0.01)), (0.3372, 0.001)),
    row(("ddpm_parallel", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (1000, First), Some((202.0296, 0.01)), (0.2631, 0.001)),
    row(("ddpm_parallel", "test_full_loop_with_noise"), "{}", (1000, Noisy(998)), Some((387.9466, 0.01)), (0.5051, 0.001)),
    row(("pndm", "test_full_loop_no_noise"), "{}", (10, First), Some((198.1318, 0.01)), (0.258, 0.001)),
    row(("pndm", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), Some((67.3986, 0.01)), (0.0878, 0.001)),
    row(("pndm", "test_full_loop_with_set_alpha_to_one"), r#"{"set_alpha_to_one": true, "beta_start": 0.01}"#, (10, First), Some((230.0399, 0.01)), (0.2995, 0.001)),
    row(("pndm", "test_full_loop_with_no_set_alpha_to_one"), r#"{"set_alpha_to_one": false, "beta_start": 0.01}"#, (10, First), Some((186.9482, 0.01)), (0.2434, 0.001)),
    row(("lcm", "test_full_loop_onestep"), "{}", (1, First), Some((18.7097, 0.001)), (0.0244, 0.001)),
    row(("lcm", "test_full_loop_multistep"), "{}", (10, First), Some((197.7616, 0.001)), (0.2575, 0.001)),
    row(("tcd", "test_full_loop_onestep_deter"), "{}", (1, First), Some((29.8715, 0.001)), (0.0389, 0.001)),
    row(("tcd", "test_full_loop_multistep_deter"), "{}", (10, First), Some((181.204, 0.001)), (0.2359, 0.001)),
    row(("edm_euler", "test_full_loop_no_noise"), "{}", (10, First), Some((34.1855, 0.001)), (0.044, 0.001)),
    row(("edm_euler", "test_full_loop_device"), "{}", (10, First), Some((34.1855, 0.001)), (0.044, 0.001)),
    row(("edm_dpmsolver_multistep", "test_full_loop_no_noise"), "{}", (10, First), None, (0.0001, 0.001)),
    row(("edm_dpmsolver_multistep", "test_full_loop_with_noise"), "{}", (10, Noisy(5)), Some((8.1661, 0.01)), (0.0106, 0.001)),
    row(("edm_dpmsolver_multistep", "test_full_loop_no_noise_thres"), r#"{"thresholding": true, "dynamic_thresholding_ratio": 0.87, "sample_max_value": 0.5}"#, (10, First), None, (0.008, 0.001)),
    row(("edm_dpmsolver_multistep", "test_full_loop_with_v_prediction"), r#"{"prediction_type": "v_prediction"}"#, (10, First), None, (0.0092, 0.001)),
];

/// `get_scheduler_config` of the file, its class, and how its loops scale.
fn base(file: &str) -> (Value, Scaling) {
    let class = |name: &str, more: Value, steps: usize| {
        let mut config = json!({ "_class_name": format!("{name}Scheduler"), "num_train_timesteps": steps,
            "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear" });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let exploding = |name, more| (class(name, more, 1100), Scaling::Kept);
    let preserving = |name, more| (class(name, more, 1000), Scaling::None);
    let distilled = json!({ "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear" });
    let dpm = json!({ "solver_order": 2, "algorithm_type": "dpmsolver++", "solver_type": "midpoint",
        "sample_max_value": 1.0, "lower_order_final": false, "final_sigmas_type": "sigma_min" });
    match file {
        "lms" => exploding("LMSDiscrete", json!({})),
        "euler" => exploding("EulerDiscrete", json!({})),
        "euler_ancestral" => exploding("EulerAncestralDiscrete", json!({})),
        "heun" => exploding("HeunDiscrete", json!({})),
        "kdpm2_discrete" => exploding("KDPM2Discrete", json!({})),
        "kdpm2_ancestral" => exploding("KDPM2AncestralDiscrete", json!({})),
        "dpm_sde" => exploding("DPMSolverSDE", json!({ "noise_sampler_seed": 0 })),
        "sasolver" => (class("SASolver", json!({}), 1100), Scaling::None),
        "deis" => preserving("DEISMultistep", json!({ "solver_order": 2 })),
        "dpm_single" => preserving("DPMSolverSinglestep", dpm),
        "dpm_multi" => preserving("DPMSolverMultistep", dpm),
        "dpm_multi_inverse" => preserving("DPMSolverMultistepInverse", {
            let mut dpm = dpm;
            dpm.as_object_mut().unwrap().remove("final_sigmas_type");
            dpm
        }),
        "unipc" => preserving(
            "UniPCMultistep",
            json!({ "solver_order": 2, "solver_type": "bh2", "final_sigmas_type": "sigma_min" }),
        ),
        "ddim" => preserving("DDIM", json!({ "clip_sample": true })),
        "ddim_inverse" => preserving("DDIMInverse", json!({ "clip_sample": true })),
        "ddim_parallel" => preserving("DDIMParallel", json!({ "clip_sample": true })),
        "ddpm" => preserving("DDPM", json!({ "clip_sample": true, "variance_type": "fixed_small" })),
        "ddpm_parallel" => preserving("DDPMParallel", json!({ "clip_sample": true, "variance_type": "fixed_small" })),
        "pndm" => preserving("PNDM", json!({})),
        "lcm" => preserving("LCM", distilled),
        "tcd" => preserving("TCD", distilled),
        "edm_euler" => {
            let config = json!({ "_class_name": "EDMEulerScheduler", "num_train_timesteps": 256, "sigma_min": 0.002,
                "sigma_max": 80.0 });
            (config, Scaling::Input)
        }
        _ => {
            let mut config = json!({ "_class_name": "EDMDPMSolverMultistepScheduler", "num_train_timesteps": 1000,
                "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5 });
            config.as_object_mut().unwrap().extend(dpm.as_object().unwrap().clone());
            (config, Scaling::None)
        }
    }
}

/// `dummy_sample_deter`, or `dummy_noise_deter` with its values from the last to the first: `[4, 3, 8, 8]`.
fn dummy(value: impl Fn(usize) -> usize) -> Tensor<4> {
    let values: Vec<f32> = (0..768).map(|i| value(i) as f32 / 768.0).collect();
    Tensor::<4>::from_data(TensorData::new(values, [3, 8, 8, 4]), &Device::flex()).permute([3, 0, 1, 2])
}

/// `dummy_model`.
fn model(x: Tensor<4>, t: f64) -> Tensor<4> {
    x.mul_scalar(t).div_scalar(t + 1.0)
}

fn start(published: &Published, plan: &Plan) -> (Plan, Tensor<4>) {
    let bare = published.file == "edm_dpmsolver_multistep"; // whose tests leave out `init_noise_sigma`
    let sample = dummy(|i| i).mul_scalar(if bare { 1.0 } else { plan.init_scale });
    match published.start {
        First => (plan.clone(), sample),
        Late(skipped) => (plan.skip(skipped), sample),
        Noisy(skipped) => (plan.skip(skipped), plan.levels[skipped].mix(sample, dummy(|i| 767 - i))),
    }
}

/// The absolute values of the last latent: their sum and mean.
fn end(published: &Published) -> (f64, f64) {
    let (mut json, scaling) = base(published.file);
    let more: Value = serde_json::from_str(published.options).unwrap();
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config = SchedulerConfig::from_options(Options::from_json("published", json).unwrap()).unwrap().with_eta(0.0);
    let (plan, mut x) = start(published, &config.plan(published.steps).unwrap());
    let prediction = config.prediction();
    let noise = SharedNoise::seeded(0); // torch.manual_seed(0)
    let scaled = |x: Tensor<4>, level: Level| if scaling == Scaling::Kept { prediction.input(x, level) } else { x };
    let x0 = |x: Tensor<4>, level: Level| {
        let input = if scaling == Scaling::Input { prediction.input(x.clone(), level) } else { x.clone() };
        prediction.x0(model(input, plan.timestep(level)), x, level)
    };
    let mut sampler = config.sampler(&plan, &noise);
    let in_noise = published.file != "dpm_sde"; // whose second call takes the clean latent as it is
    for pair in plan.levels.windows(2) {
        x = scaled(x, pair[0]);
        let denoise = |x: Tensor<4>, level: Level| {
            if level == pair[0] {
                return x0(x, level);
            }
            // The latent between two calls is scaled as well, and the direction there is that of the scaled one.
            let there = scaled(x.clone(), level);
            let clean = x0(there.clone(), level);
            if in_noise { x - there + clean } else { clean }
        };
        x = sampler.step(x, pair[0], pair[1], &mut { denoise });
    }
    let values: Vec<f32> = x.into_data().try_into_vec().unwrap();
    assert!(values.iter().all(|v| v.is_finite()), "{} {}", published.file, published.test);
    let sum: f64 = values.iter().map(|v| f64::from(v.abs())).sum();
    (sum, sum / values.len() as f64)
}

#[test]
fn full_loops_end_where_those_of_diffusers_do() {
    let mut failures = Vec::new();
    for published in PUBLISHED {
        let (sum, mean) = end(published);
        let off = |found: f64, (expected, tolerance): (f64, f64)| (found - expected).abs() >= tolerance;
        if published.sum.is_some_and(|expected| off(sum, expected)) || off(mean, published.mean) {
            let (file, test) = (published.file, published.test);
            failures.push(format!(
                "{file} {test}: sum {sum} for {:?}, mean {mean} for {:?}",
                published.sum, published.mean
            ));
        }
    }
    assert!(PUBLISHED.len() > 70);
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), PUBLISHED.len(), failures.join("\n"));
}

/// The loop of `ipndm` runs twice, and its second run goes on with the directions of the first, which a sampler here does not
/// do: it begins anew where its levels rise. So they are put into its memory, as of levels of pure noise, before which there
/// are none. And its first step, which divides by the `alpha` of pure noise, is done here.
#[test]
fn the_second_run_of_ipndm_goes_on_with_the_directions_of_the_first() {
    let json = json!({ "_class_name": "IPNDMScheduler", "num_train_timesteps": 1000 });
    let config = SchedulerConfig::from_options(Options::from_json("published", json).unwrap()).unwrap();
    let plan = config.plan(10).unwrap();
    let mut sampler = config.sampler(&plan, &SharedNoise::seeded(0));
    let x = run(&mut *sampler, &plan, config.prediction(), 0, dummy(|i| i).mul_scalar(plan.init_scale));

    let mut state = State::default();
    sampler.remember(&mut Memory::saving(&mut state));
    let mut directions = VecDeque::<(Level, Tensor<4>)>::load("history", &state, &Device::flex()).unwrap();
    assert_eq!(directions.len(), 4);
    directions.iter_mut().for_each(|(level, _)| *level = plan.levels[0]);
    // At pure noise the network's answer is not the direction: the latent is.
    directions.push_front((plan.levels[0], x.clone()));
    let weights = [55.0, -59.0, 37.0, -9.0].map(|weight| weight / 24.0);
    let direction = directions.iter().zip(weights).map(|((_, e), weight)| e.clone().mul_scalar(weight));
    let direction = direction.reduce(|a, b| a + b).unwrap();
    let x0 = (x - direction.clone()).div_scalar(1e-8);
    let x = x0.mul_scalar(plan.levels[1].alpha) + direction.mul_scalar(plan.levels[1].sigma);

    directions.truncate(4);
    directions.save("history", &mut state);
    sampler.remember(&mut Memory::loading(&state, &Device::flex()));
    let x = run(&mut *sampler, &plan, config.prediction(), 1, x);
    let mean = f64::from(x.abs().mean().into_scalar::<f32>());
    assert!((mean - 2540529.0).abs() < 10.0, "{mean}");
}

/// The steps from number `first` on.
fn run(sampler: &mut dyn Sampler, plan: &Plan, prediction: Prediction, first: usize, mut x: Tensor<4>) -> Tensor<4> {
    for pair in plan.levels[first..].windows(2) {
        let denoise = |x: Tensor<4>, level| prediction.x0(model(x.clone(), plan.timestep(level)), x, level);
        x = sampler.step(x, pair[0], pair[1], &mut { denoise });
    }
    x
}
