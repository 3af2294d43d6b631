//! Whatever is wrong with a checkpoint, a config or a request gets a typed error that names the culprit.

mod support;

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use support::{device, golden};
use t2i::prelude::*;
use t2i::{Encoded, Error};
use tempfile::TempDir;

// Requests

#[test]
fn no_prompt() {
    let request = Request { prompts: Vec::new(), ..request() };
    assert!(matches!(error(&request), Error::InvalidValue { field: "prompts", .. }));
}

#[test]
fn no_steps() {
    assert_field("steps", &Request { steps: Some(0), ..request() });
}

#[test]
fn more_steps_than_the_model_learned() {
    let message = error(&Request { steps: Some(100_000), ..request() }).to_string();
    assert!(message.contains("100000"), "{message}");
}

#[test]
fn sizes_that_are_no_multiples_of_8() {
    assert_field("width", &Request { width: Some(60), ..request() });
    assert_field("height", &Request { height: Some(0), ..request() });
    let message = error(&Request { width: Some(60), ..request() }).to_string();
    assert!(message.contains("56") && message.contains("64"), "what would be right: {message}");
}

#[test]
fn strength_outside_of_its_range() {
    for strength in [0.0, -0.1, 1.01, f64::NAN] {
        let start = Start::Image { image: Tensor::zeros([1, 3, 16, 16], &device()) };
        assert_field("strength", &Request { start, strength: Some(strength), ..request() });
    }
}

#[test]
fn guidance_that_is_no_number() {
    assert_field("guidance", &Request { guidance: Some(f64::NAN), ..request() });
    assert_field("guidance_rescale", &Request { guidance_rescale: 1.5, ..request() });
}

#[test]
fn seeds_that_are_neither_one_nor_one_each() {
    assert_field("seeds", &Request { seeds: vec![1, 2, 3], images_per_prompt: 2, ..request() });
    assert_field("seeds", &Request { seeds: Vec::new(), ..request() });
}

#[test]
fn noise_of_another_shape() {
    let noise = Some(Tensor::zeros([1, 4, 3, 3], &device()));
    assert_field("noise", &Request { noise, ..request() });
}

#[test]
fn a_mask_of_another_size() {
    let image = Tensor::zeros([1, 3, 16, 16], &device());
    let mask = Tensor::zeros([1, 1, 16, 24], &device());
    assert_field("mask", &Request { start: Start::Inpaint { image, mask }, ..request() });
}

#[test]
fn pictures_that_are_neither_one_nor_one_each() {
    let image = Tensor::zeros([2, 3, 16, 16], &device());
    assert_field("image", &Request { start: Start::Image { image }, images_per_prompt: 3, ..request() });
    let image = Tensor::zeros([1, 4, 16, 16], &device());
    assert_field("image", &Request { start: Start::Image { image }, ..request() });
    let latent = Tensor::zeros([1, 3, 2, 2], &device());
    let start = Start::Latent { latent };
    assert_field("latent", &Request { start, denoising_start: Some(0.5), ..request() });
}

#[test]
fn a_picture_of_another_size_than_asked_for() {
    let image = Tensor::zeros([1, 3, 16, 16], &device());
    assert_field("width", &Request { start: Start::Image { image }, width: Some(64), ..request() });
}

#[test]
fn encoded_prompts_of_another_width() {
    let encoded = Encoded { context: Tensor::zeros([1, 77, 5], &device()), pooled: None };
    assert_field("encoded", &Request { encoded: Some(encoded), ..request() });
}

#[test]
fn a_hand_over_without_a_latent() {
    assert_field("denoising_start", &Request { denoising_start: Some(0.5), ..request() });
    assert_field("denoising_end", &Request { denoising_end: Some(1.5), ..request() });
}

#[test]
fn a_refiner_from_noise() {
    let refiner = Pipeline::load(model("sdxl-refiner"), &device(), FloatDType::F32).expect("a refiner");
    let error = refiner.steps(&request()).err().expect("a refiner does not start from noise");
    assert!(matches!(error, Error::InvalidValue { field: "start", .. }), "{error}");
}

#[test]
fn an_inpainting_model_without_a_mask() {
    let pipeline = Pipeline::load(model("sd1-inpaint"), &device(), FloatDType::F32).expect("an inpainting model");
    let error = pipeline.steps(&request()).err().expect("a mask is needed");
    assert!(matches!(error, Error::InvalidValue { field: "start", .. }), "{error}");
}

#[test]
fn an_unknown_sampler_is_named_with_its_neighbours() {
    let error = pipeline().set_sampler("DPM++ 2N Karras").expect_err("no such sampler");
    match &error {
        Error::UnknownName { name, nearest, .. } => {
            assert_eq!(name, "DPM++ 2N Karras");
            assert!(nearest.iter().any(|near| near.contains("2M")), "{nearest:?}");
        }
        _ => panic!("{error}"),
    }
}

#[test]
fn an_unknown_device_is_named() {
    assert!(matches!(t2i::device("abacus"), Err(Error::UnknownName { kind: "device", .. })));
}

#[test]
fn an_empty_prompt_is_a_prompt() {
    let request = Request { width: Some(16), height: Some(16), prompts: vec![String::new()], ..request() };
    assert_eq!(pipeline().generate(&request).expect("a picture").pixels.dims(), [1, 3, 16, 16]);
}

#[test]
fn a_prompt_of_10_000_words_is_cut_with_a_warning() {
    let pipeline = pipeline();
    let request = Request { prompts: vec!["horse ".repeat(10_000)], ..request() };
    let run = pipeline.steps(&request).expect("a run");
    assert!(run.warnings()[0].contains("77 tokens"), "{:.100}", run.warnings()[0]);
    assert_eq!(run.finish().expect("a picture").context.dims()[1], 77);
}

// Checkpoints

#[test]
fn a_missing_checkpoint() {
    let error = load(Path::new("no/such/model"));
    assert!(matches!(&error, Error::Io { path, .. } if path.ends_with("no/such/model")), "{error}");
}

#[test]
fn a_missing_part() {
    for part in ["unet", "vae", "text_encoder", "scheduler"] {
        let broken = Broken::new("sd1");
        std::fs::remove_dir_all(broken.path().join(part)).expect("a part");
        let message = broken.error().to_string();
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_missing_config_or_weight_file() {
    for file in ["unet/config.json", UNET, "tokenizer/vocab.json"] {
        let broken = Broken::new("sd1");
        std::fs::remove_file(broken.path().join(file)).expect("a file");
        let message = broken.error().to_string();
        assert!(message.contains(file.split('/').next().expect("a folder")), "{file}: {message}");
    }
}

#[test]
fn a_truncated_weight_file() {
    let broken = Broken::new("sd1");
    let path = broken.path().join(UNET);
    let bytes = std::fs::read(&path).expect("weights");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("half of them");
    let error = broken.error();
    assert!(matches!(&error, Error::Corrupt { path: culprit, .. } if *culprit == path), "{error}");
}

#[test]
fn an_unknown_option() {
    let broken = Broken::new("sd1");
    broken.edit_json("unet/config.json", |config| config["attention_heed_dim"] = json!(8));
    let error = broken.error();
    assert!(matches!(&error, Error::UnknownOption { option, .. } if option == "attention_heed_dim"), "{error}");
}

#[test]
fn an_unsupported_option() {
    let broken = Broken::new("sd1");
    broken.edit_json("unet/config.json", |config| config["dual_cross_attention"] = json!(true));
    let error = broken.error();
    assert!(matches!(&error, Error::UnsupportedOption { option, .. } if option == "dual_cross_attention"), "{error}");
}

#[test]
fn a_missing_tensor() {
    let broken = Broken::new("sd1");
    broken.edit_weights(|name| (name != "conv_in.bias").then(|| name.to_owned()));
    let error = broken.error();
    assert!(matches!(&error, Error::MissingTensor { tensor, .. } if tensor == "conv_in.bias"), "{error}");
}

#[test]
fn a_misspelt_tensor_is_missing_and_its_like_is_named() {
    let broken = Broken::new("sd1");
    broken.edit_weights(|name| Some(name.replace("conv_in.bias", "conv_im.bias")));
    let error = broken.error();
    let near = |nearest: &Option<String>| nearest.as_deref() == Some("conv_im.bias");
    assert!(matches!(&error, Error::MissingTensor { nearest, .. } if near(nearest)), "{error}");
}

#[test]
fn a_tensor_of_another_shape() {
    let broken = Broken::new("sd1");
    broken.edit_json("unet/config.json", |config| config["cross_attention_dim"] = json!(24));
    let error = broken.error();
    assert!(matches!(&error, Error::TensorShape { tensor, .. } if tensor.contains("attn2")), "{error}");
}

#[test]
fn nan_among_the_weights() {
    let broken = Broken::new("sd1");
    let path = broken.path().join(UNET);
    let mut bytes = std::fs::read(&path).expect("weights");
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&half::f16::NAN.to_le_bytes());
    std::fs::write(&path, bytes).expect("weights");
    let error = broken.error();
    assert!(matches!(error, Error::TensorNotFinite { .. }), "{error}");
}

// Helpers

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

fn model(name: &str) -> PathBuf {
    golden().join("pipelines").join(name)
}

fn pipeline() -> Pipeline {
    Pipeline::load(model("sd1"), &device(), FloatDType::F32).expect("the tiny model")
}

fn request() -> Request {
    Request { steps: Some(2), ..Request::new("a horse") }
}

fn error(request: &Request) -> Error {
    pipeline().steps(request).err().expect("an error")
}

#[track_caller]
fn assert_field(expected: &str, request: &Request) {
    let error = error(request);
    assert!(matches!(&error, Error::InvalidValue { field, .. } if *field == expected), "{error}");
}

fn load(path: &Path) -> Error {
    Pipeline::load(path, &device(), FloatDType::F32).err().expect("an error")
}

/// A copy of a checkpoint, to be broken.
struct Broken(TempDir);

impl Broken {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(&model(name), folder.path());
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn error(&self) -> Error {
        load(self.path())
    }

    fn edit_json(&self, file: &str, edit: impl Fn(&mut Value)) {
        let path = self.path().join(file);
        let mut json = support::json(&path);
        edit(&mut json);
        std::fs::write(&path, json.to_string()).expect("a config");
    }

    /// Renames the tensors of the UNet, or drops them.
    fn edit_weights(&self, rename: impl Fn(&str) -> Option<String>) {
        let path = self.path().join(UNET);
        let bytes = std::fs::read(&path).expect("weights");
        let file = SafeTensors::deserialize(&bytes).expect("weights");
        let tensors: Vec<(String, TensorView<'_>)> =
            file.tensors().into_iter().filter_map(|(name, view)| rename(&name).map(|name| (name, view))).collect();
        safetensors::serialize_to_file(tensors, None, &path).expect("weights");
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
