//! Learning rates are those of diffusers' `get_scheduler`: `tests/golden/make_train.py` made the numbers.

mod golden;

use std::collections::BTreeMap;

use golden::golden;
use t2i_train::{Decay, LearningRate};

/// For 8 steps of warm-up and for none, 40 in all. Diffusers' cosine rises again beyond its end; ours stays at 0.
#[test]
fn rates_are_those_of_diffusers() {
    let text = std::fs::read_to_string(golden("train/rates.json")).expect("golden rates");
    let rates: BTreeMap<String, Vec<f64>> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(rates.len(), 6);
    for (name, expected) in rates {
        let (kind, warmup) = name.rsplit_once('_').expect("a kind and a warm-up");
        let warmup = warmup.parse().expect("a number");
        let decay = match kind {
            "constant_with_warmup" => Decay::None,
            "linear" => Decay::Linear { from: warmup, to: 40 },
            "cosine" => Decay::Cosine { steps: 40 },
            other => panic!("{other} is no schedule"),
        };
        let rate = LearningRate { peak: 1.0, warmup, decay };
        let compared = if kind == "cosine" { 41 } else { expected.len() };
        for (step, expected) in expected.iter().take(compared).enumerate() {
            let found = rate.at(step as u64);
            assert!((found - expected).abs() < 1e-12, "{name} at {step}: {found} is not {expected}");
        }
    }
}

#[test]
fn nothing_is_left_after_the_end() {
    for decay in [Decay::Linear { from: 8, to: 40 }, Decay::Cosine { steps: 40 }] {
        let rate = LearningRate { peak: 2e-4, warmup: 8, decay };
        assert!(rate.at(39) > 0.0);
        assert!([40, 41, 1000].iter().all(|step| rate.at(*step) == 0.0), "{decay:?}");
    }
}

#[test]
fn rates_and_shares_that_are_none_are_refused() {
    use burn::nn::LinearConfig;
    use burn::tensor::Device;
    use t2i_core::Error;
    use t2i_train::{Training, TrainingConfig};

    let sound = TrainingConfig::default();
    let rate =
        |peak, decay| TrainingConfig { learning_rate: LearningRate { peak, warmup: 10, decay }, ..sound.clone() };
    let cases = [
        ("learning rate", rate(0.0, Decay::None)),
        ("learning rate", rate(f64::NAN, Decay::None)),
        ("end of the learning rate", rate(1e-3, Decay::Linear { from: 9, to: 9 })),
        ("end of the learning rate", rate(1e-3, Decay::Cosine { steps: 10 })),
        ("beta 1", TrainingConfig { betas: [1.0, 0.9], ..sound.clone() }),
        ("beta 2", TrainingConfig { betas: [0.9, -0.1], ..sound.clone() }),
        ("ema decay", TrainingConfig { ema_decay: 1.0, ..sound.clone() }),
        ("weight decay", TrainingConfig { weight_decay: f32::NAN, ..sound.clone() }),
        ("max gradient", TrainingConfig { max_gradient: 0.0, ..sound.clone() }),
    ];
    let start = |config| Training::new(LinearConfig::new(1, 1).init(&Device::flex().autodiff()), config);
    assert!(start(sound.clone()).is_ok());
    for (name, config) in cases {
        let error = start(config).err().unwrap_or_else(|| panic!("{name} is not refused"));
        assert!(matches!(&error, Error::InvalidValue { field, .. } if *field == name), "{error}");
    }
}
