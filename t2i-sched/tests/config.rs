//! What configs and names are read, and what is refused.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::{Value, json};
use t2i_core::{Error, Options, Result};
use t2i_sched::{Prediction, SchedulerConfig};

fn read(json: Value) -> Result<SchedulerConfig> {
    SchedulerConfig::from_options(Options::from_json("scheduler_config.json", json)?)
}

fn class(name: &str, options: Value) -> Result<SchedulerConfig> {
    let mut json = json!({ "_class_name": format!("{name}Scheduler") });
    json.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    read(json)
}

/// The message of the error, which must hold every one of `words`.
fn refused<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
    let message = result.unwrap_err().to_string();
    assert!(words.iter().all(|word| message.contains(word)), "{message}");
}

#[test]
fn an_option_of_another_class_is_ignored() {
    // As SDXL's file for Euler, which has options of DDIM and PNDM.
    let options = json!({ "clip_sample": false, "skip_prk_steps": true, "set_alpha_to_one": false });
    assert_eq!(class("EulerDiscrete", options).unwrap().class_name(), "EulerDiscreteScheduler");
}

#[test]
fn an_option_of_no_class_is_refused_with_its_neighbours() {
    let config = class("EulerDiscrete", json!({ "timestep_spacin": "leading" }));
    refused(config, &["timestep_spacin`", "timestep_spacing"]);
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let cases = [
        ("ScoreSdeVe", json!({}), "_class_name"),
        ("DDIM", json!({ "beta_schedule": "exp" }), "beta_schedule"),
        ("DDIM", json!({ "prediction_type": "flow" }), "prediction_type"),
        ("PNDM", json!({ "prediction_type": "sample" }), "prediction_type"),
        ("EulerAncestralDiscrete", json!({ "prediction_type": "sample" }), "prediction_type"),
        ("DDIM", json!({ "timestep_spacing": "uniform" }), "timestep_spacing"),
        ("DDIM", json!({ "num_train_timesteps": 0 }), "num_train_timesteps"),
        ("DDIM", json!({ "num_train_timesteps": "many" }), "num_train_timesteps"),
        ("DDIM", json!({ "trained_betas": [0.1, 0.2] }), "trained_betas"),
        ("DDIM", json!({ "beta_end": 3.0 }), "beta_end"),
        ("DDIM", json!({ "clip_sample": "yes" }), "clip_sample"),
        ("DDPM", json!({ "variance_type": "learned_range" }), "variance_type"),
        ("DDPM", json!({ "variance_type": "fixed_large_log" }), "fixed_large, because"),
        ("DDPM", json!({ "variance_type": "learned" }), "twice the channels"),
        ("IPNDM", json!({ "trained_betas": [0.1, 0.2] }), "trained_betas"),
        ("UnCLIP", json!({ "variance_type": "learned_range" }), "twice the channels"),
        ("UnCLIP", json!({ "prediction_type": "v_prediction" }), "prediction_type"),
        ("UnCLIP", json!({ "beta_schedule": "linear" }), "squaredcos_cap_v2"),
        ("DDPMWuerstchen", json!({ "scaler": 0.0 }), "scaler"),
        ("CMStochasticIterative", json!({ "sigma_max": 0.001 }), "above sigma_min"),
        ("CMStochasticIterative", json!({ "num_train_timesteps": 1 }), "num_train_timesteps"),
        ("DDIMInverse", json!({ "timestep_spacing": "linspace" }), "leading or trailing"),
        ("DDIMInverse", json!({ "prediction_type": "sample" }), "set_alpha_to_one"),
        ("DDIMInverse", json!({ "rescale_betas_zero_snr": true }), "v_prediction or sample"),
        ("DPMSolverMultistepInverse", json!({ "algorithm_type": "sde-dpmsolver++" }), "algorithm_type"),
        ("DPMSolverMultistepInverse", json!({ "use_flow_sigmas": true }), "use_flow_sigmas"),
        ("SASolver", json!({ "tau_func": "lambda t: 1" }), "tau_func"),
        ("SASolver", json!({ "predictor_order": 5 }), "predictor_order"),
        ("SASolver", json!({ "corrector_order": 0 }), "corrector_order"),
        ("SASolver", json!({ "thresholding": true, "algorithm_type": "noise_prediction" }), "thresholding"),
        ("EulerDiscrete", json!({ "interpolation_type": "cubic" }), "interpolation_type"),
        ("EulerDiscrete", json!({ "timestep_type": "odd" }), "timestep_type"),
        ("EulerDiscrete", json!({ "final_sigmas_type": "max" }), "final_sigmas_type"),
        ("EulerDiscrete", json!({ "sigma_min": -1.0 }), "sigma_min"),
        ("EulerDiscrete", json!({ "use_karras_sigmas": true, "use_beta_sigmas": true }), "use_beta_sigmas"),
        ("DPMSolverMultistep", json!({ "algorithm_type": "dpmsolver" }), "final_sigmas_type"),
        ("DPMSolverMultistep", json!({ "algorithm_type": "deis" }), "final_sigmas_type"),
        ("DPMSolverMultistep", json!({ "algorithm_type": "other" }), "algorithm_type"),
        ("DPMSolverMultistep", json!({ "solver_order": 4 }), "solver_order"),
        ("DPMSolverMultistep", json!({ "solver_type": "rk4" }), "solver_type"),
        ("DPMSolverMultistep", json!({ "prediction_type": "flow_prediction" }), "prediction_type"),
        ("DPMSolverMultistep", json!({ "use_flow_sigmas": true, "flow_shift": 0 }), "flow_shift"),
        ("UniPCMultistep", json!({ "shift_terminal": 0.1 }), "shift_terminal"),
        (
            "UniPCMultistep",
            json!({ "use_flow_sigmas": true, "prediction_type": "flow_prediction", "predict_x0": false }),
            "prediction_type",
        ),
        ("FlowMatchEulerDiscrete", json!({ "time_shift_type": "cubic" }), "time_shift_type"),
        ("FlowMatchEulerDiscrete", json!({ "shift": 0 }), "shift"),
        ("FlowMatchEulerDiscrete", json!({ "use_karras_sigmas": true, "use_beta_sigmas": true }), "use_beta_sigmas"),
        (
            "FlowMatchEulerDiscrete",
            json!({ "invert_sigmas": true, "stochastic_sampling": true }),
            "stochastic_sampling",
        ),
        ("FlowMatchLCM", json!({ "scale_factors": [0.5, 0.75] }), "scale_factors"),
        ("FlowMatchLCM", json!({ "invert_sigmas": true }), "invert_sigmas"),
        ("EDMEuler", json!({ "prediction_type": "sample" }), "prediction_type"),
        ("EDMEuler", json!({ "sigma_schedule": "beta" }), "sigma_schedule"),
        ("EDMDPMSolverMultistep", json!({ "algorithm_type": "dpmsolver" }), "algorithm_type"),
        ("EDMDPMSolverMultistep", json!({ "algorithm_type": "sde-dpmsolver++", "solver_order": 3 }), "solver_order"),
        ("DPMSolverMultistep", json!({ "variance_type": "learned" }), "variance_type"),
        ("DPMSolverMultistep", json!({ "lambda_min_clipped": "low" }), "lambda_min_clipped"),
        ("UniPCMultistep", json!({ "solver_type": "rk4" }), "solver_type"),
        ("UniPCMultistep", json!({ "shift_terminal": 0.1 }), "shift_terminal"),
        ("LCM", json!({ "original_inference_steps": 0 }), "original_inference_steps"),
    ];
    for (name, options, option) in cases {
        refused(class(name, options), &["scheduler_config.json", option]);
    }
    refused(read(json!({ "beta_end": 0.1 })), &["_class_name"]);
}

#[test]
fn a_class_for_other_things_is_told_from_a_class_of_nobody() {
    let cases = [
        ("CosineDPMSolverMultistep", "is for audio"),
        ("CogVideoXDPM", "is for video"),
        ("VQDiffusion", "discrete tokens"),
        ("RFD4Proteina", "proteins"),
        ("RePaint", "DDIMScheduler or DDPMScheduler"),
        ("KarrasVe", "HeunDiscreteScheduler"),
        ("ScoreSdeVe", "networks of scores"),
        ("DDIMM", "nearest: DDIMScheduler"),
    ];
    for (name, reason) in cases {
        refused(class(name, json!({})), &["_class_name", reason, "EulerDiscreteScheduler"]);
    }
}

#[test]
fn a_third_order_that_the_reference_lacks_is_refused() {
    let options = json!({ "algorithm_type": "sde-dpmsolver", "solver_order": 3, "final_sigmas_type": "sigma_min" });
    refused(class("DPMSolverMultistep", options), &["solver_order", "1 to 2"]);
}

#[test]
fn numbers_of_steps_are_checked() {
    let limits = [
        ("EulerDiscrete", json!({}), 0, "1 to"),
        ("DDIM", json!({}), 1001, "1 to 1000"),
        ("DDIM", json!({ "steps_offset": 1 }), 1000, "steps_offset"),
        ("PNDM", json!({}), 3, "at least 4"),
        ("PNDM", json!({}), 0, "1 to 1000"),
        ("DPMSolverMultistep", json!({ "timestep_spacing": "leading" }), 1000, "level of its own"),
        ("UniPCMultistep", json!({}), 1001, "1 to 1000"),
        ("LCM", json!({}), 51, "1 to 50"),
        ("UnCLIP", json!({}), 1, "2 to"),
        ("IPNDM", json!({}), 0, "1 to"),
        ("DDPMWuerstchen", json!({}), 1000, "level of its own"),
        ("CMStochasticIterative", json!({}), 41, "1 to 40"),
        ("DDIMInverse", json!({ "steps_offset": 1 }), 1000, "steps_offset"),
        ("DPMSolverMultistepInverse", json!({ "use_exponential_sigmas": true }), 50, "of its own"),
        ("SASolver", json!({}), 1001, "1 to 1000"),
        ("LCM", json!({ "original_inference_steps": 4 }), 5, "1 to 4"),
    ];
    for (name, options, steps, expected) in limits {
        refused(class(name, options).unwrap().plan(steps), &["steps", expected]);
    }
    let lcm = class("LCM", json!({})).unwrap();
    refused(lcm.plan_for_strength(8, 0.1), &["steps", "1 to 5"]);
    refused(lcm.plan_for_strength(8, 1.5), &["strength"]);
}

#[test]
fn a_shift_by_the_size_of_the_picture_needs_mu() {
    let dynamic = json!({ "use_dynamic_shifting": true, "use_flow_sigmas": true });
    for name in ["FlowMatchEulerDiscrete", "FlowMatchLCM", "UniPCMultistep"] {
        let config = class(name, dynamic.clone()).unwrap();
        refused(config.plan(5), &["mu", "with_mu", "use_dynamic_shifting"]);
        assert_eq!(config.clone().with_mu(0.5).plan(5).unwrap().timesteps.len(), 5);
        refused(config.with_mu(f64::NAN).plan(5), &["mu"]);
    }
    let fixed = class("DPMSolverMultistep", json!({ "use_flow_sigmas": true })).unwrap();
    refused(fixed.clone().with_mu(0.5).plan(5), &["mu", "use_dynamic_shifting"]);
    assert!(fixed.plan(5).is_ok());
    assert!(class("DPMSolverMultistep", dynamic).unwrap().plan(5).is_ok()); // the fixed shift, as in diffusers
}

#[test]
fn minus_infinity_is_read_in_every_spelling() {
    for value in [json!(null), json!("-inf"), json!("-Infinity"), json!(-5.1)] {
        let config = class("DPMSolverMultistep", json!({ "lambda_min_clipped": value })).unwrap();
        assert_eq!(config.plan(10).unwrap().timesteps.len(), 10);
    }
}

#[test]
fn only_what_the_file_states_goes_over() {
    // DDIM's own default is leading; DPM-Solver's is linspace.
    let ddim = class("DDIM", json!({})).unwrap();
    assert_eq!(ddim.plan(4).unwrap().timesteps, [750., 500., 250., 0.]);
    assert_eq!(ddim.with_sampler("DPM++ 2M").unwrap().plan(4).unwrap().timesteps, [999., 749., 500., 250.]);
    let stated = class("DDIM", json!({ "timestep_spacing": "leading", "steps_offset": 1 })).unwrap();
    assert_eq!(stated.with_sampler("DPM++ 2M").unwrap().plan(4).unwrap().timesteps, [801., 601., 401., 201.]);
}

#[test]
fn stable_diffusion_pipelines_set_two_options() {
    // Not stated: for this class only.
    let pndm = class("PNDM", json!({ "skip_prk_steps": true })).unwrap().as_stable_diffusion().unwrap();
    assert_eq!(pndm.plan(4).unwrap().timesteps, [751., 501., 501., 251., 1.]);
    assert_eq!(pndm.with_sampler("DDIM").unwrap().plan(4).unwrap().timesteps, [750., 500., 250., 0.]);
    // Stated: for the others too.
    let pndm = class("PNDM", json!({ "steps_offset": 0 })).unwrap().as_stable_diffusion().unwrap();
    assert_eq!(pndm.with_sampler("DDIM").unwrap().plan(4).unwrap().timesteps, [751., 501., 251., 1.]);
}

#[test]
fn an_option_can_be_set() {
    let config = class("DDIM", json!({})).unwrap();
    let v = config.with_option("prediction_type", "v_prediction").unwrap();
    assert_eq!(v.prediction(), Prediction::V);
    refused(config.with_option("prediction_tpye", "v_prediction"), &["prediction_tpye", "prediction_type"]);
    refused(config.with_option("prediction_type", "w"), &["prediction_type", "epsilon"]);
}

#[test]
fn an_unknown_sampler_comes_with_its_neighbours() {
    let error = class("DDIM", json!({})).unwrap().with_sampler("Eulr a").unwrap_err();
    let Error::UnknownName { kind, nearest, .. } = error else { panic!("{error}") };
    assert_eq!((kind, nearest[0].as_str()), ("sampler", "Euler a"));
}

#[test]
fn published_configs_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/configs");
    let expected = [
        ("sd14", "PNDMScheduler", Prediction::Epsilon),
        ("sd21", "DDIMScheduler", Prediction::V),
        ("sdxl", "EulerDiscreteScheduler", Prediction::Epsilon),
    ];
    for (name, class, prediction) in expected {
        let path = folder.join(name).join("scheduler/scheduler_config.json");
        if !path.exists() {
            eprintln!("skipped: {} is not here", path.display());
            continue;
        }
        let config = SchedulerConfig::from_options(Options::read(&path).unwrap()).unwrap();
        assert_eq!((config.class_name(), config.prediction()), (class, prediction));
        assert_eq!(config.plan(50).unwrap().timesteps[0], 981.0);
    }
}
