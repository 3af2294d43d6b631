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
