//! How a single file is sampled: as the published folder of its family says.
//!
//! `from_single_file` of diffusers takes the same configs from the model hub.

use serde_json::{Value, json};

use crate::Family;

/// What a file tells about its training.
#[derive(Debug, Default)]
pub(super) struct Training {
    pub(super) inpainting: bool,
    /// The file has the marker `v_pred`.
    pub(super) v_prediction: bool,
    /// The file has the marker `ztsnr`.
    pub(super) zero_terminal_snr: bool,
    pub(super) global_step: Option<i64>,
}

impl Training {
    /// Diffusers' rule: Stable Diffusion 2 predicts v, unless the file tells the step at which the training of
    /// 2.0 base ended, or the model is for inpainting.
    pub(super) fn predicts_epsilon_in_sd2(&self) -> bool {
        !self.v_prediction && (self.inpainting || self.global_step == Some(875_000))
    }
}

pub(super) fn config(family: Family, training: &Training) -> Option<Value> {
    let mut config = match family {
        Family::Sd1 => pndm(),
        Family::Sd2 if training.predicts_epsilon_in_sd2() => pndm(),
        Family::Sd2 => ddim(),
        Family::SdXl | Family::SdXlRefiner => euler(),
    };
    if training.v_prediction {
        config["prediction_type"] = json!("v_prediction");
    }
    if training.zero_terminal_snr {
        config["rescale_betas_zero_snr"] = json!(true);
    }
    Some(config)
}

/// <https://huggingface.co/CompVis/stable-diffusion-v1-4/blob/main/scheduler/scheduler_config.json>
fn pndm() -> Value {
    json!({
        "_class_name": "PNDMScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": false,
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "set_alpha_to_one": false,
        "skip_prk_steps": true,
        "steps_offset": 1,
        "trained_betas": null,
    })
}

/// <https://huggingface.co/stabilityai/stable-diffusion-2-1/blob/main/scheduler/scheduler_config.json>
fn ddim() -> Value {
    json!({
        "_class_name": "DDIMScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": false,
        "num_train_timesteps": 1000,
        "prediction_type": "v_prediction",
        "set_alpha_to_one": false,
        "skip_prk_steps": true,
        "steps_offset": 1,
        "trained_betas": null,
    })
}

/// <https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/scheduler/scheduler_config.json>
fn euler() -> Value {
    json!({
        "_class_name": "EulerDiscreteScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": false,
        "interpolation_type": "linear",
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "sample_max_value": 1.0,
        "set_alpha_to_one": false,
        "skip_prk_steps": true,
        "steps_offset": 1,
        "timestep_spacing": "leading",
        "trained_betas": null,
        "use_karras_sigmas": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(family: Family, training: &Training) -> Value {
        config(family, training).expect("every family has one")["prediction_type"].clone()
    }

    #[test]
    fn stable_diffusion_2_predicts_v_unless_it_is_known_not_to() {
        let base = Training { global_step: Some(875_000), ..Training::default() };
        let inpainting = Training { inpainting: true, ..Training::default() };
        assert_eq!(prediction(Family::Sd2, &Training::default()), "v_prediction");
        assert_eq!(prediction(Family::Sd2, &base), "epsilon");
        assert_eq!(prediction(Family::Sd2, &inpainting), "epsilon");
    }

    #[test]
    fn a_marker_says_that_an_xl_predicts_v() {
        let marked = Training { v_prediction: true, zero_terminal_snr: true, ..Training::default() };
        assert_eq!(prediction(Family::SdXl, &Training::default()), "epsilon");
        assert_eq!(prediction(Family::SdXl, &marked), "v_prediction");
        assert_eq!(config(Family::SdXl, &marked).expect("a config")["rescale_betas_zero_snr"], true);
    }
}
