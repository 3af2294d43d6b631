//! How much the error at a noise level counts.

use serde::{Deserialize, Serialize};
use t2i_core::{Error, Result};
use t2i_sched::{Level, Prediction, Unscaled};

/// How much the squared error of a prediction counts at each noise level.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub enum Weighting {
    /// As much at every level.
    #[default]
    Uniform,
    /// Min-SNR: the squared error of x0 counts `min(snr, gamma)`, where `snr = alpha^2 / sigma^2`, whatever the network
    /// predicts. [Hang et al. 2023](https://arxiv.org/abs/2303.09556), section 3.4
    MinSnr {
        /// The most that a level counts; 5 in the paper. Above 0.
        gamma: f64,
    },
}

impl Weighting {
    /// [`MinSnr`](Self::MinSnr) with this `gamma`.
    ///
    /// # Errors
    /// If `gamma` is not a number above 0.
    pub fn min_snr(gamma: f64) -> Result<Self> {
        if gamma.is_finite() && gamma > 0.0 {
            return Ok(Self::MinSnr { gamma });
        }
        Err(Error::InvalidValue { field: "gamma", value: gamma.to_string(), expected: "a number above 0".to_owned() })
    }

    /// The weight of the squared error of `prediction` at `level`. It is finite at every level, with noise alone
    /// (`alpha = 0`) and without any.
    ///
    /// Min-SNR is `min(snr, gamma)` times the square of what an error of the network makes of x0: `1 / snr` for noise,
    /// `1 / (snr + 1)` for v, 1 for x0, `1 / (sqrt(snr) + 1)^2` for the velocity of a flow. So the velocities and x0
    /// count nothing where there is noise alone.
    pub fn weight(self, prediction: Prediction, level: Level) -> f64 {
        match self {
            Self::Uniform => 1.0,
            Self::MinSnr { gamma } => min_snr(gamma, prediction, level),
        }
    }
}

/// `min(snr, gamma) * (d x0 / d output)^2`, with the powers of alpha and sigma cancelled that would divide 0 by 0.
fn min_snr(gamma: f64, prediction: Prediction, level: Level) -> f64 {
    let (signal, noise) = (level.alpha.powi(2), level.sigma.powi(2));
    // `min(snr, gamma) * sigma^2`
    let bounded = signal.min(gamma * noise);
    match prediction {
        Prediction::Epsilon | Prediction::Unscaled(Unscaled::Epsilon) => (gamma * noise / signal).min(1.0),
        Prediction::Unscaled(Unscaled::V) => bounded,
        Prediction::V => bounded / (signal + noise),
        Prediction::Velocity | Prediction::NegativeVelocity => bounded / (level.alpha + level.sigma).powi(2),
        Prediction::Sample | Prediction::Unscaled(Unscaled::Sample) => (signal / noise).min(gamma),
        Prediction::Edm { sigma_data } | Prediction::EdmV { sigma_data } => {
            let data = sigma_data.powi(2);
            bounded * data / (noise + signal * data)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use t2i_core::Weights;
    use t2i_sched::{Schedule, scaled_linear, zero_terminal_snr};

    const PREDICTIONS: [Prediction; 7] = [
        Prediction::Epsilon,
        Prediction::V,
        Prediction::Velocity,
        Prediction::NegativeVelocity,
        Prediction::Sample,
        Prediction::Edm { sigma_data: 0.5 },
        Prediction::Unscaled(Unscaled::V),
    ];

    /// At `alpha^2 = 0.8` the ratio is 4, at `alpha^2 = 0.1` a ninth; `gamma` is 2.
    #[test]
    fn weights_by_hand() {
        let weighting = Weighting::min_snr(2.0).expect("above 0");
        let weight = |prediction, share| weighting.weight(prediction, Level::vp(share));
        let expected = [(0.8, 0.5, 0.4, 2.0), (0.1, 1.0, 0.1, 1.0 / 9.0)];
        for (share, epsilon, v, sample) in expected {
            assert!((weight(Prediction::Epsilon, share) - epsilon).abs() < 1e-12);
            assert!((weight(Prediction::V, share) - v).abs() < 1e-12);
            assert!((weight(Prediction::Sample, share) - sample).abs() < 1e-12);
        }
        // alpha = 2/3 and sigma = 1/3: a ratio of 4, and 2 / (2 + 1)^2.
        let flow = weighting.weight(Prediction::Velocity, Level::flow(1.0 / 3.0));
        assert!((flow - 2.0 / 9.0).abs() < 1e-12);
        assert_eq!(Weighting::Uniform.weight(Prediction::V, Level::vp(0.8)), 1.0);
    }

    /// diffusers' `compute_snr`, in f32, from timesteps 0 to 999. With zero terminal SNR the last weight of the noise is
    /// 0 / 0 there, and 1 here.
    #[test]
    fn weights_are_those_of_diffusers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/train/weights.safetensors");
        let golden = Weights::open(path.as_ref()).expect("golden weights");
        let betas = scaled_linear(0.00085, 0.012, 1000);
        let zero = Schedule::from_betas(&zero_terminal_snr(&betas));
        for (name, schedule) in [("sd", Schedule::from_betas(&betas)), ("zero", zero)] {
            let kinds =
                [("epsilon", Prediction::Epsilon), ("v_prediction", Prediction::V), ("sample", Prediction::Sample)];
            for (kind, prediction) in kinds {
                let expected = golden.read(&format!("{name}.{kind}")).expect("golden weights");
                let expected: Vec<f32> = expected.try_to_vec().expect("f32");
                assert_eq!(expected.len(), 28);
                for (i, expected) in expected.into_iter().map(f64::from).enumerate() {
                    let found = Weighting::MinSnr { gamma: 5.0 }.weight(prediction, schedule.level(37 * i));
                    let expected = if expected.is_nan() { 1.0 } else { expected };
                    assert!((found - expected).abs() <= 1e-5 * expected, "{name} {kind} {i}: {found} {expected}");
                }
            }
        }
    }

    /// An error `d` of the output is an error of x0, whose square counts `min(snr, gamma)`.
    #[test]
    fn all_predictions_weigh_the_same_error_of_x0_alike() {
        use burn::tensor::{Device, Tensor};
        let weighting = Weighting::MinSnr { gamma: 5.0 };
        for level in [Level::vp(0.95), Level::vp(0.3), Level::flow(0.2), Level::flow(0.7), Level::ve(3.0)] {
            let snr = (level.alpha / level.sigma).powi(2);
            for prediction in PREDICTIONS {
                let x0 = |output: f64| {
                    let filled = |value: f64| Tensor::<4>::full([1, 1, 1, 1], value, &Device::flex());
                    f64::from(prediction.x0(filled(output), filled(0.5), level).into_scalar::<f32>())
                };
                let gain = x0(1.0) - x0(0.0);
                let expected = snr.min(5.0) * gain.powi(2);
                let found = weighting.weight(prediction, level);
                assert!((found - expected).abs() < 1e-5 * expected, "{prediction:?} {level:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn weights_are_finite_at_both_ends() {
        let weighting = Weighting::MinSnr { gamma: 5.0 };
        for prediction in PREDICTIONS {
            for level in [Level::vp(0.0), Level::CLEAN, Level::flow(1.0)] {
                let weight = weighting.weight(prediction, level);
                assert!(weight.is_finite() && weight >= 0.0, "{prediction:?} at {level:?}: {weight}");
            }
        }
        assert_eq!(weighting.weight(Prediction::Epsilon, Level::vp(0.0)), 1.0);
        assert_eq!(weighting.weight(Prediction::V, Level::vp(0.0)), 0.0);
    }

    #[test]
    fn a_gamma_that_is_none_is_refused() {
        for gamma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Weighting::min_snr(gamma), Err(Error::InvalidValue { field: "gamma", .. })));
        }
    }
}
