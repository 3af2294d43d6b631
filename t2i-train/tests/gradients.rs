//! A training step is torch's: the loss, the gradient of every parameter, their norm, and what AdamW makes of them.
//! `tests/golden/make_train.py` made the numbers.
#![allow(clippy::print_stdout)]

mod golden;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::Tensor;
use golden::case::Case;
use golden::values::{Values, gradients, parameters};
use t2i_text::ClipTextConfig;
use t2i_train::{CodecLoss, Conditioned, clip_global_norm, divergence, spread};
use t2i_unet::{Conditioning, UNet};
use t2i_vae::{Codec, CodecConfig};

/// Of a parameter's largest gradient: both sides compute in f32, in another order.
const TOLERANCE: f64 = 1e-3;
/// A gradient is 0 but for rounding below this share of the model's largest.
const NOTHING: f64 = 1e-5;
const RATE: f64 = 1e-3;
/// What a digest is made of, behind the largest absolute value: sums over a tensor with weights like noise, whose error is
/// about the root mean square of the tensor's.
const SUMS: usize = 8;

/// Gives the parameters the names of a part of a model.
#[derive(Module, Debug)]
struct Alone {
    unet: UNet,
}

/// Gives the parameters the names of a part of a model.
#[derive(Module, Debug)]
struct Coded {
    codec: Codec,
}

/// UNet and text encoder, whose gradients come through the context.
fn joint(name: &str) {
    let case = Case::read(name);
    let unet = case.unet("unet/config.json", "unet/diffusion_pytorch_model.safetensors");
    let config = ClipTextConfig::from_options(case.options("text_encoder/config.json")).expect("a golden config");
    let text_encoder = case.load(config.init(&case.device), "text_encoder/model.safetensors");
    let conditioned = Conditioned { unet, text_encoder };
    let loss = conditioned.loss(&case.loss(), case.batch());
    check(&case, conditioned, loss);
}

/// A UNet and a given context.
fn alone(name: &str) {
    let case = Case::read(name);
    let unet = case.unet("config.json", "weights.safetensors");
    let conditioning = Conditioning {
        context: case.input("context"),
        pooled: case.try_input("pooled"),
        time_ids: case.try_input("time_ids"),
        guidance: unet.config().time_cond_proj_dim.map(|_| case.input("guidance")),
    };
    let (loss, batch) = (case.loss(), case.batch());
    let levels = &batch.levels.levels;
    let noisy = loss.noisy(batch.x0.clone(), batch.eps.clone(), levels);
    let output = unet.forward(noisy, batch.levels.timesteps(&case.device), &conditioning);
    // One of the networks says less than it is fed.
    let said = output.dims()[1];
    let loss = loss.forward(output, batch.x0.slice_dim(1, 0..said), batch.eps.slice_dim(1, 0..said), levels);
    check(&case, Alone { unet }, loss);
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
    check(&case, Coded { codec }, loss);
}

fn check<M: Module>(case: &Case, module: M, loss: Tensor<1>) {
    assert_relative(case, "loss", f64::from(loss.clone().into_scalar::<f32>()), case.number("loss"));
    let found = GradientsParams::from_grads(loss.backward(), &module);
    let before = parameters(&module);
    check_gradients(case, &before, &gradients(&module, &found));
    let (clipped, norm) = clip_global_norm(found, &module, 1.0);
    assert_relative(case, "norm", norm, case.number("norm"));
    let config = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.99).with_epsilon(1e-3).with_weight_decay(1e-2);
    let module = config.init().step(RATE, module, clipped);
    check_step(case, &before, &parameters(&module));
}

fn check_gradients(case: &Case, parameters: &Values, gradients: &Values) {
    let names = |values: &Values| values.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(gradients), names(parameters), "every parameter has a gradient");
    let expected = case.tensors.values(&format!("{}/grad", case.text("name")));
    let largest = expected.chunks(SUMS + 1).map(|row| f64::from(row[0])).fold(0.0, f64::max);
    report_worst(case, "gradient", gradients, &expected, |name, found, size| {
        if size >= NOTHING * largest {
            return size;
        }
        assert!(is_nothing(case, name) && found < NOTHING * largest, "{name}: {found} {size}");
        largest
    });
}

/// Whose gradients are 0 but for rounding: a bias of the keys moves all scores of a query alike, which softmax does not
/// see, and in the middle of one of the networks one token attends to itself.
fn is_nothing(case: &Case, name: &str) -> bool {
    let alone = case.text("name") == "sd2" && name.contains("mid_block") && name.contains("attn1");
    name.ends_with("k_proj.bias") || name.ends_with("to_k.bias") || alone
}

/// What AdamW did, as a part of the learning rate.
fn check_step(case: &Case, before: &Values, after: &Values) {
    let name = format!("{}/step", case.text("name"));
    if case.tensors.find::<2>(&name, &case.device).is_none() {
        return;
    }
    let done = after.iter().zip(before.values()).map(|((name, after), before)| {
        (name.clone(), after.iter().zip(before).map(|(after, before)| (after - before) / RATE).collect())
    });
    report_worst(case, "AdamW step", &done.collect(), &case.tensors.values(&name), |_, _, _| 1.0);
}

/// The largest difference of digests, as a part of what `unit` says of a parameter: it is told the name, and the largest
/// value that was found and that was expected.
fn report_worst(case: &Case, what: &str, found: &Values, expected: &[f32], unit: impl Fn(&str, f64, f64) -> f64) {
    assert_eq!(found.len() * (SUMS + 1), expected.len(), "as many parameters as in torch");
    let mut worst = (0.0, "");
    for ((name, found), expected) in found.iter().zip(expected.chunks(SUMS + 1)) {
        let found = digest(found);
        let error = difference(&found, expected) / unit(name, found[0], f64::from(expected[0]));
        if error > worst.0 {
            worst = (error, name);
        }
    }
    report(case, what, worst);
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
    report(case, what, ((found - expected).abs() / expected, "all"));
}

/// Prints a line for `tests/golden/parity.py`.
fn report(case: &Case, what: &str, (error, parameter): (f64, &str)) {
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
