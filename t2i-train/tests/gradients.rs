//! A training step is torch's: the loss, the gradient of every parameter, their norm, and what AdamW makes of them.
//! `tests/golden/make_train.py` made the numbers.
#![allow(clippy::print_stdout)]

mod golden;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, FloatDType, Int, Tensor};
use golden::values::{Values, gradients, parameters};
use golden::{Golden, golden};
use serde_json::Value;
use t2i_core::{Options, Weights};
use t2i_sched::spacing::flow::Shift;
use t2i_sched::{Prediction, Schedule, scaled_linear, zero_terminal_snr};
use t2i_text::{ClipTextConfig, ClipTextModel};
use t2i_train::{CodecLoss, DiffusionLoss, TrainingLevels, Weighting, clip_global_norm, divergence, spread};
use t2i_unet::{Conditioning, UNet, UNetConfig};
use t2i_vae::{Codec, CodecConfig};

/// Of a parameter's largest gradient: both sides compute in f32, in another order.
const TOLERANCE: f64 = 1e-3;
/// A gradient is 0 but for rounding below this share of the model's largest.
const NOTHING: f64 = 1e-5;
const RATE: f64 = 1e-3;
/// What a digest is made of, behind the largest absolute value.
const SUMS: usize = 8;

struct Case {
    json: Value,
    tensors: Golden,
    gamma: f64,
    places: Vec<usize>,
    device: Device,
}

impl Case {
    fn read(name: &str) -> Self {
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

    fn text(&self, field: &str) -> &str {
        self.json[field].as_str().expect("a string")
    }

    fn number(&self, field: &str) -> f64 {
        self.json[field].as_f64().expect("a number")
    }

    fn input<const D: usize>(&self, name: &str) -> Tensor<D> {
        self.try_input(name).expect("an input")
    }

    fn try_input<const D: usize>(&self, name: &str) -> Option<Tensor<D>> {
        self.tensors.find(&format!("{}/{name}", self.text("inputs")), &self.device)
    }

    fn options(&self, path: &str) -> Options {
        Options::read(&golden(self.text("model")).join(path)).expect("a golden config")
    }

    fn load<M: Module>(&self, module: M, path: &str) -> M {
        let weights = Weights::open(&golden(self.text("model")).join(path)).expect("golden weights");
        let weights = weights.rename(|name| (!name.ends_with("position_ids")).then(|| name.to_owned()));
        weights.and_then(|weights| weights.load(module, FloatDType::F32)).expect("golden weights fit")
    }

    fn unet(&self, config: &str, weights: &str) -> UNet {
        let config = UNetConfig::from_options(self.options(config)).expect("a golden config");
        self.load(config.init(&self.device), weights)
    }

    fn loss(&self) -> DiffusionLoss {
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

    fn levels(&self) -> TrainingLevels {
        let betas = scaled_linear(0.00085, 0.012, 1000);
        TrainingLevels::new(&match self.text("schedule") {
            "sd" => Schedule::from_betas(&betas),
            "zero" => Schedule::from_betas(&zero_terminal_snr(&betas)),
            "flow" => Schedule::flow(1000, Shift::Fixed(3.0)),
            other => panic!("{other} is no schedule"),
        })
    }

    fn diffusion_loss(&self, unet: &UNet, conditioning: &Conditioning) -> Tensor<1> {
        let (loss, drawn) = (self.loss(), self.levels().at(&self.places));
        let (x0, eps) = (self.input::<4>("x0"), self.input::<4>("eps"));
        let noisy = loss.noisy(x0.clone(), eps.clone(), &drawn.levels);
        let output = unet.forward(noisy, drawn.timesteps(&self.device), conditioning);
        // One of the networks says less than it is fed.
        let said = output.dims()[1];
        loss.forward(output, x0.slice_dim(1, 0..said), eps.slice_dim(1, 0..said), &drawn.levels)
    }
}

/// UNet and text encoder, whose gradients come through the context.
fn joint(name: &str) {
    let case = Case::read(name);
    let unet = case.unet("unet/config.json", "unet/diffusion_pytorch_model.safetensors");
    let config = ClipTextConfig::from_options(case.options("text_encoder/config.json")).expect("a golden config");
    let text: ClipTextModel = case.load(config.init(&case.device), "text_encoder/model.safetensors");
    let ids: Tensor<2, Int> = case.input::<2>("ids").int();
    let context = text.forward(ids).last_hidden_state;
    let loss = case.diffusion_loss(&unet, &Conditioning::text(context));
    check(&case, (unet, text), &["unet", "text_encoder"], loss);
}

/// A UNet and a given context.
fn alone(name: &str) {
    let case = Case::read(name);
    let unet = case.unet("config.json", "weights.safetensors");
    let conditioning = Conditioning {
        context: case.input("context"),
        pooled: case.try_input("pooled"),
        time_ids: case.try_input("time_ids"),
        guidance: case.try_input("guidance"),
    };
    let loss = case.diffusion_loss(&unet, &conditioning);
    check(&case, (unet,), &["unet"], loss);
}

/// Pixels to latents and back.
fn codec(name: &str) {
    let case = Case::read(name);
    let config = CodecConfig::from_options(case.options("config.json")).expect("a golden config");
    let codec: Codec = case.load(config.init(&case.device), "weights.safetensors");
    let pixels = case.input::<4>("pixels");
    let posterior = codec.encode(pixels.clone());
    let latent = case.try_input("noise").map_or_else(|| posterior.mode(), |noise| posterior.sample(noise));
    let penalty = divergence(&posterior).unwrap_or_else(|| spread(latent.clone()));
    let loss = CodecLoss::default().forward(codec.decode(latent), pixels) + penalty * case.number("weight");
    check(&case, (codec,), &["codec"], loss);
}

fn check<M: Module>(case: &Case, module: M, parts: &[&str], loss: Tensor<1>) {
    assert_relative(case, "loss", f64::from(loss.clone().into_scalar::<f32>()), case.number("loss"));
    let found = GradientsParams::from_grads(loss.backward(), &module);
    let before = parameters(&module, parts);
    let largest = check_gradients(case, &before, &gradients(&module, parts, &found));
    let (clipped, norm) = clip_global_norm(found, &module, 1.0);
    assert_relative(case, "norm", norm, case.number("norm"));
    let config = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.99).with_epsilon(1e-8).with_weight_decay(1e-2);
    let module = config.init().step(RATE, module, clipped);
    check_step(case, &before, &parameters(&module, parts), &largest);
}

/// Compares every gradient, and gives the largest of each parameter in torch, 0 where it is rounding.
fn check_gradients(case: &Case, parameters: &Values, gradients: &Values) -> Vec<f64> {
    let names = |values: &Values| values.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(gradients), names(parameters), "every parameter has a gradient");
    let expected = case.tensors.values(&format!("{}/grad", case.text("name")));
    let expected: Vec<_> = expected.chunks(SUMS + 1).collect();
    assert_eq!(expected.len(), gradients.len(), "as many parameters as in torch");
    let largest = expected.iter().map(|row| f64::from(row[0])).fold(0.0, f64::max);
    let mut worst = (0.0, String::new());
    let sizes = gradients.iter().zip(&expected).map(|((name, gradient), expected)| {
        let (found, size) = (digest(gradient), f64::from(expected[0]));
        if size < NOTHING * largest {
            assert!(is_nothing(case, name) && found[0] < NOTHING * largest, "{name}: {} {size}", found[0]);
            return 0.0;
        }
        let error = difference(&found, expected) / size;
        worst = if error > worst.0 { (error, name.clone()) } else { std::mem::take(&mut worst) };
        size
    });
    let sizes = sizes.collect();
    report(case, "gradient", worst);
    sizes
}

/// Whose gradients are 0 but for rounding: a bias of the keys moves all scores of a query alike, which softmax does not
/// see, and in the middle of one of the networks one token attends to itself.
fn is_nothing(case: &Case, name: &str) -> bool {
    let alone = case.text("name") == "sd2" && name.contains("mid_block") && name.contains("attn1");
    name.ends_with("k_proj.bias") || name.ends_with("to_k.bias") || alone
}

/// Compares what AdamW did, as a part of the learning rate, where the gradient was more than rounding.
fn check_step(case: &Case, before: &Values, after: &Values, largest: &[f64]) {
    let name = format!("{}/step", case.text("name"));
    if case.tensors.find::<2>(&name, &case.device).is_none() {
        return;
    }
    let expected = case.tensors.values(&name);
    let mut worst = (0.0, String::new());
    for ((((name, after), before), expected), largest) in
        after.iter().zip(before.values()).zip(expected.chunks(SUMS + 1)).zip(largest)
    {
        let done: Vec<_> = after.iter().zip(before).map(|(after, before)| (after - before) / RATE).collect();
        let error = difference(&digest(&done), expected);
        if *largest > 0.0 && error > worst.0 {
            worst = (error, name.clone());
        }
    }
    report(case, "AdamW step", worst);
}

fn digest(values: &[f64]) -> Vec<f64> {
    assert!(values.iter().all(|value| value.is_finite()), "NaN or infinity");
    let largest = values.iter().map(|value| value.abs()).fold(0.0, f64::max);
    let sum = |k: usize| {
        let waves = (0..values.len()).map(|i| (1.0 + (i * k) as f64 * 0.7390851).sin());
        waves.zip(values).map(|(wave, value)| wave * value).sum::<f64>() / (values.len() as f64).sqrt()
    };
    let rest: Vec<f64> = match values.len() {
        len if len <= SUMS => values.iter().copied().chain(std::iter::repeat_n(0.0, SUMS - len)).collect(),
        _ => (1..=SUMS).map(sum).collect(),
    };
    std::iter::once(largest).chain(rest).collect()
}

fn difference(found: &[f64], expected: &[f32]) -> f64 {
    found.iter().zip(expected).map(|(found, expected)| (found - f64::from(*expected)).abs()).fold(0.0, f64::max)
}

fn assert_relative(case: &Case, what: &str, found: f64, expected: f64) {
    report(case, what, ((found - expected).abs() / expected, String::new()));
}

/// Prints a line for `tests/golden/parity.py`.
fn report(case: &Case, what: &str, (error, parameter): (f64, String)) {
    let name = case.text("name");
    println!("parity | training step: {what} | {name} | {TOLERANCE:.1e} | {error:.1e}");
    assert!(error <= TOLERANCE, "{name}, {what} of {parameter}: {error:e}");
}

macro_rules! cases {
    ($kind:ident: $($case:ident)*) => { $(#[test] fn $case() { $kind(stringify!($case)); })* };
}

cases! { joint: epsilon_uniform epsilon_min_snr v_prediction_uniform v_prediction_min_snr }
cases! { joint: sample_uniform sample_min_snr flow_uniform flow_min_snr odd }
cases! { alone: options lcm sd2 xl }
cases! { codec: kl tiny }
