//! LoRAs and learned embeddings: every case of `tests/golden/adapters` against what diffusers makes with the same files.

mod support;

use std::path::PathBuf;

use burn::tensor::TensorData;
use serde_json::Value;
use support::{Tensors, device, golden, json, largest, largest_difference, parity};
use t2i::core::{Family, Part, Weights};
use t2i::prelude::*;
use t2i::{LearnedEmbedding, LoraFormat, LoraLayer};

/// Of the largest value of the latents.
const LATENT_TOLERANCE: f32 = 1e-4;
/// Of the largest value of the encoded prompts.
const CONTEXT_TOLERANCE: f32 = 2e-5;
/// Of a pixel in [0, 1]: one step of eight bits.
const PIXEL_TOLERANCE: f32 = 1.0 / 255.0;

/// `T2I_CASE=kohya cargo test --release --test adapters` runs the cases whose names contain `kohya`.
#[test]
fn every_case_equals_diffusers() {
    let cases: Vec<Value> = json(&folder().join("cases.json"));
    let expected = Tensors::open(&folder().join("expected.safetensors"));
    let wanted = std::env::var("T2I_CASE").unwrap_or_default();
    let cases = cases.into_iter().map(|json| Case { json, expected: &expected });
    let failures: Vec<String> =
        cases.filter(|case| case.name().contains(&wanted)).filter_map(|case| case.check().err()).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn folder() -> PathBuf {
    golden().join("adapters")
}

/// One picture with adapters: its arguments in diffusers' names, and what came out.
struct Case<'a> {
    json: Value,
    expected: &'a Tensors,
}

impl Case<'_> {
    fn name(&self) -> &str {
        self.json["name"].as_str().expect("a name")
    }

    fn check(&self) -> Result<(), String> {
        let failed = |error: t2i::Error| format!("{}: {error}", self.name());
        let pipeline = self.pipeline().map_err(failed)?;
        let pictures = pipeline.generate(&self.request()).map_err(failed)?;
        let tokens = self.expected.get(&format!("{}.context", self.name())).map_or(0, |context| context.shape()[1]);
        self.compare("context", pictures.context.narrow(1, 0, tokens).into_data(), CONTEXT_TOLERANCE)?;
        if let Some(pooled) = pictures.pooled {
            self.compare("pooled", pooled.into_data(), CONTEXT_TOLERANCE)?;
        }
        self.compare("latents", pictures.latents.into_data(), LATENT_TOLERANCE)?;
        let image = pictures.pixels.mul_scalar(0.5).add_scalar(0.5).clamp(0.0, 1.0).into_data();
        match self.expected.get(&format!("{}.image", self.name())) {
            Some(expected) => self.judge("image", largest_difference(&image, &expected), PIXEL_TOLERANCE),
            None => Ok(()),
        }
    }

    fn pipeline(&self) -> t2i::Result<Pipeline> {
        let model = golden().join("pipelines").join(self.json["model"].as_str().expect("a model"));
        let mut pipeline = Pipeline::load(model, &device(), FloatDType::F32)?;
        for adapter in self.json["adapters"].as_array().expect("adapters") {
            let file = |kind: &str| adapter[kind].as_str().map(|file| folder().join("files").join(file));
            match (file("lora"), file("embedding")) {
                (Some(file), _) => pipeline.load_lora(file, adapter["strength"].as_f64().expect("a strength"))?,
                (_, Some(file)) => pipeline.load_embedding(file, adapter["token"].as_str())?,
                _ => panic!("{}: neither a LoRA nor an embedding", self.name()),
            }
        }
        Ok(pipeline)
    }

    fn request(&self) -> Request {
        let args = &self.json["args"];
        let whole = |name: &str| args[name].as_u64().map(|n| n as usize);
        let text = |name: &str| args[name].as_str().expect("a prompt").to_owned();
        Request {
            negative_prompts: vec![text("negative_prompt")],
            seeds: vec![self.json["seed"].as_u64().expect("a seed")],
            steps: whole("num_inference_steps"),
            guidance: args["guidance_scale"].as_f64(),
            width: whole("width"),
            height: whole("height"),
            ..Request::new(text("prompt"))
        }
    }

    fn compare(&self, what: &str, found: TensorData, tolerance: f32) -> Result<(), String> {
        let name = format!("{}.{what}", self.name());
        let expected = self.expected.get(&name).ok_or_else(|| format!("no {name}"))?;
        if found.shape() != expected.shape() {
            return Err(format!("{name} is {:?}, not {:?}", found.shape(), expected.shape()));
        }
        self.judge(what, largest_difference(&found, &expected) / largest(&expected), tolerance)
    }

    fn judge(&self, what: &str, error: f32, tolerance: f32) -> Result<(), String> {
        parity(&format!("adapters: {what}"), self.name(), tolerance, error);
        match error <= tolerance {
            true => Ok(()),
            false => Err(format!("{}: {what} is off by {error:.1e}, more than {tolerance:.1e}", self.name())),
        }
    }
}

/// Where `tests/golden/check_adapters.py` finds what is written here.
fn written(file: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("adapters");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join(file)
}

/// A LoRA of the golden data as layers, the change of each halved and its alpha twice the rank.
fn layers() -> Vec<LoraLayer> {
    let weights = Weights::open(&folder().join("files/same_peft.safetensors")).expect("a LoRA");
    let downs = weights.names().filter_map(|name| name.strip_suffix(".lora_A.weight"));
    downs
        .map(|stem| {
            let (part, path) = stem.split_once('.').expect("a part");
            let (part, path) = match part {
                "unet" => (Part::Unet, path.to_owned()),
                _ => (Part::TextEncoder, format!("text_model.{path}")),
            };
            let read = |half: &str| weights.read(&format!("{stem}.{half}.weight")).expect("a half");
            let (down, up) = (read("lora_A").convert::<f32>(), read("lora_B").convert::<f32>());
            let alpha = 2.0 * down.shape()[0] as f64;
            let halved = up.iter::<f32>().map(|value| value / 2.0).collect::<Vec<_>>();
            LoraLayer { part, path, down, up: TensorData::new(halved, up.shape().clone()), alpha }
        })
        .collect()
}

#[test]
fn written_loras_do_what_they_did() {
    let expected = Tensors::open(&folder().join("expected.safetensors"));
    let mut case: Vec<Value> = json(&folder().join("cases.json"));
    case.retain(|case| case["name"] == "same_peft");
    let formats = [("diffusers", LoraFormat::Diffusers), ("kohya", LoraFormat::Kohya(Family::Sd1))];
    for (name, format) in formats {
        let path = written(&format!("{name}.safetensors"));
        format.write(&path, &layers(), FloatDType::F32).expect("written");
        let mut json = case[0].clone();
        json["adapters"][0]["lora"] = Value::String(path.display().to_string());
        Case { json, expected: &expected }.check().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn written_embeddings_are_read_back() {
    let files = [
        ("learned_embeds.bin", "one"),
        ("learned_embeds.safetensors", "learned_embeds"),
        ("xl-word.safetensors", "xl-word"),
    ];
    for (file, name) in files {
        let embedding = LearnedEmbedding::open(folder().join("files").join(file), None).expect("a word");
        let path = written(&format!("{name}.safetensors"));
        embedding.write(&path).expect("written");
        let read = LearnedEmbedding::open(&path, None).expect("a word");
        assert_eq!((read.token, read.vectors), (embedding.token, embedding.vectors), "{file}");
    }
}
