//! A training step that torch has made.

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};
use serde_json::Value;
use t2i_core::{Options, Weights};
use t2i_sched::spacing::flow::Shift;
use t2i_sched::{Prediction, Schedule, scaled_linear, zero_terminal_snr};
use t2i_train::{Batch, DiffusionLoss, TrainingLevels, Weighting};
use t2i_unet::{UNet, UNetConfig};

use super::{Golden, golden};

/// A case of `steps.json`.
pub(crate) struct Case {
    json: Value,
    pub(crate) tensors: Golden,
    gamma: f64,
    places: Vec<usize>,
    pub(crate) device: Device,
}

impl Case {
    pub(crate) fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(golden("train/steps.json")).expect("golden cases");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let case = json["cases"].as_array().expect("cases").iter().find(|case| case["name"] == name);
        Self {
            json: case.expect("a case of that name").clone(),
            tensors: Golden::open("train/steps.safetensors"),
            gamma: json["gamma"].as_f64().expect("a number"),
            places: serde_json::from_value(json["places"].clone()).expect("places"),
            device: Device::flex().autodiff(),
        }
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.json[field].as_str().expect("a string")
    }

    pub(crate) fn number(&self, field: &str) -> f64 {
        self.json[field].as_f64().expect("a number")
    }

    pub(crate) fn input<const D: usize>(&self, name: &str) -> Tensor<D> {
        self.try_input(name).expect("an input")
    }

    pub(crate) fn try_input<const D: usize>(&self, name: &str) -> Option<Tensor<D>> {
        self.tensors.find(&format!("{}/{name}", self.text("inputs")), &self.device)
    }

    pub(crate) fn options(&self, path: &str) -> Options {
        Options::read(&golden(self.text("model")).join(path)).expect("a golden config")
    }

    pub(crate) fn load<M: Module>(&self, module: M, path: &str) -> M {
        let weights = Weights::open(&golden(self.text("model")).join(path)).expect("golden weights");
        let weights = weights.rename(|name| (!name.ends_with("position_ids")).then(|| name.to_owned()));
        weights.and_then(|weights| weights.load(module, FloatDType::F32)).expect("golden weights fit")
    }

    pub(crate) fn unet(&self, config: &str, weights: &str) -> UNet {
        let config = UNetConfig::from_options(self.options(config)).expect("a golden config");
        self.load(config.init(&self.device), weights)
    }

    pub(crate) fn loss(&self) -> DiffusionLoss {
        let prediction = match self.text("prediction") {
            "epsilon" => Prediction::Epsilon,
            "v_prediction" => Prediction::V,
            "sample" => Prediction::Sample,
            "flow" => Prediction::Velocity,
            other => panic!("{other} is no prediction"),
        };
        let weighting = match self.text("weighting") {
            "uniform" => Weighting::Uniform,
            _ => Weighting::min_snr(self.gamma).expect("above 0"),
        };
        DiffusionLoss { prediction, weighting }
    }

    pub(crate) fn levels(&self) -> TrainingLevels {
        let betas = scaled_linear(0.00085, 0.012, 1000);
        TrainingLevels::new(&match self.text("schedule") {
            "sd" => Schedule::from_betas(&betas),
            "zero" => Schedule::from_betas(&zero_terminal_snr(&betas)),
            "flow" => Schedule::flow(1000, Shift::Fixed(3.0)),
            other => panic!("{other} is no schedule"),
        })
    }

    pub(crate) fn batch(&self) -> Batch {
        let ids = self.try_input::<2>("ids").map(|ids| ids.into_data().try_to_vec::<f32>().expect("f32"));
        Batch {
            x0: self.input("x0"),
            eps: self.input("eps"),
            levels: self.levels().at(&self.places),
            captions: ids.unwrap_or_default().chunks(6).map(|ids| ids.iter().map(|id| *id as u32).collect()).collect(),
        }
    }
}
