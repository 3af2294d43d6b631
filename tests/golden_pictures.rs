//! Whole pictures: every case of `tests/golden/pipelines` against what diffusers made of it, from the seed alone.

mod support;

use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use serde_json::Value;
use support::{Tensors, baked, device, dtype, golden, json, largest, largest_difference, parity};
use t2i::prelude::*;

/// How far a picture may be from that of f32.
struct Tolerance {
    /// Of the largest value of the encoded prompts.
    context: f32,
    /// Of the largest value of the latents.
    latents: f32,
    /// Of a pixel in [0, 1], beyond the values that are stored as the expected byte.
    pixels: f32,
}

/// An eighth of a pixel's step in f32. In halves, twice what diffusers itself loses: `tests/golden/halves.py`.
fn tolerance() -> Tolerance {
    match dtype() {
        FloatDType::F16 => Tolerance { context: 5e-3, latents: 7e-2, pixels: 6e-2 },
        FloatDType::BF16 => Tolerance { context: 5e-2, latents: 0.5, pixels: 0.5 },
        _ => Tolerance { context: 2e-5, latents: 1e-4, pixels: 0.125 / 255.0 },
    }
}

/// `T2I_CASE=sdxl cargo test --release --test golden_pictures` runs the cases whose names contain `sdxl`.
#[test]
fn every_case_equals_diffusers() {
    assert!(check_all(&pipelines()) > 70);
}

/// Checkpoints of one file, in the layout of the original code: nothing but their tensors says how they are built.
#[test]
fn single_files_equal_diffusers() {
    assert!(check_all(&pipelines().join("ldm")) >= 5);
}

/// Checks the cases of a folder, and counts them.
fn check_all(folder: &Path) -> usize {
    let names: Vec<String> = json(&folder.join("cases.json"));
    let wanted = std::env::var("T2I_CASE").unwrap_or_default();
    let cases = names.iter().filter(|name| name.contains(&wanted)).map(|name| Case::read(folder, name));
    let failures: Vec<String> = cases.filter_map(|case| case.check().err()).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    names.len()
}

fn pipelines() -> PathBuf {
    golden().join("pipelines")
}

/// One picture: its arguments in diffusers' names, and what came out.
struct Case {
    /// The folder of the models, with the cases in a folder below.
    models: PathBuf,
    name: String,
    json: Value,
    tensors: Tensors,
}

impl Case {
    fn read(models: &Path, name: &str) -> Self {
        let folder = models.join("cases").join(name);
        Self {
            models: models.to_owned(),
            name: name.to_owned(),
            json: json(&folder.join("case.json")),
            tensors: Tensors::open(&folder.join("tensors.safetensors")),
        }
    }

    fn check(&self) -> Result<(), String> {
        let failed = |error: t2i::Error| format!("{}: {error}", self.name);
        let pipeline = self.pipeline().map_err(failed)?;
        let mut run = pipeline.steps(&self.request(&pipeline).map_err(failed)?).map_err(failed)?;
        let steps = run.by_ref().collect::<t2i::Result<Vec<_>>>().map_err(failed)?;
        assert!(!steps.is_empty(), "{}: no step", self.name);
        let pictures = run.finish().map_err(failed)?;
        let tolerance = tolerance();
        let image = pictures.pixels.clone().mul_scalar(0.5).add_scalar(0.5).clamp(0.0, 1.0).into_data();
        self.compare("context", pictures.context.into_data(), tolerance.context)?;
        self.compare(
            "pooled",
            pictures.pooled.map_or_else(|| TensorData::zeros::<f32, _>([0]), |p| p.into_data()),
            tolerance.context,
        )?;
        self.compare("latents", pictures.latents.into_data(), tolerance.latents)?;
        self.compare_pixels(image, tolerance.pixels)
    }

    fn compare(&self, name: &str, found: TensorData, tolerance: f32) -> Result<(), String> {
        let Some(expected) = self.tensors.get(name) else {
            return Ok(());
        };
        if found.shape() != expected.shape() {
            return Err(format!("{}: {name} is {:?}, not {:?}", self.name, found.shape(), expected.shape()));
        }
        let error = largest_difference(&found, &expected) / largest(&expected);
        self.judge(name, error, tolerance)
    }

    /// The file has bytes, each of which stands for all values that round to it.
    fn compare_pixels(&self, found: TensorData, tolerance: f32) -> Result<(), String> {
        let Some(expected) = self.tensors.get("image") else {
            return Ok(());
        };
        let in_steps: Vec<f32> = found.iter::<f32>().map(|pixel| pixel * 255.0).collect();
        let found = TensorData::new(in_steps, found.shape());
        let beyond = largest_difference(&found, &expected) - 0.5;
        self.judge("image", beyond.max(0.0) / 255.0, tolerance)
    }

    fn judge(&self, name: &str, error: f32, tolerance: f32) -> Result<(), String> {
        let name = if dtype() == FloatDType::F32 { name.to_owned() } else { format!("{name}, {:?}", dtype()) };
        parity(&format!("whole picture, {}: {name}", self.group()), &self.name, tolerance, error);
        match error <= tolerance {
            true => Ok(()),
            false => Err(format!("{}: {name} is off by {error:.1e}, more than {tolerance:.1e}", self.name)),
        }
    }

    /// The model, for the table.
    fn group(&self) -> String {
        let kind = self.models.file_name().unwrap_or_default().to_string_lossy().replace("pipelines", "folder");
        format!("{kind} {}", self.text("model"))
    }

    fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_else(|| panic!("{}: no {field}", self.name))
    }

    fn pipeline(&self) -> t2i::Result<Pipeline> {
        let mut model = self.models.join(self.text("model"));
        if model.join("recipe.json").exists() {
            model = baked(&model);
        }
        let mut pipeline = Pipeline::load(model, &device(), dtype())?;
        // What a single file is sampled by, its reader must know.
        let config = self.models.join("cases").join(&self.name).join("scheduler_config.json");
        if self.json["sampler"].is_string() || self.json["config"].is_object() {
            pipeline.set_scheduler(SchedulerConfig::from_options(t2i::core::Options::read(&config)?)?);
        }
        Ok(pipeline)
    }

    fn request(&self, pipeline: &Pipeline) -> t2i::Result<Request> {
        let args = &self.json["args"];
        let number = |name: &str| args[name].as_f64();
        let whole = |name: &str| args[name].as_u64().map(|n| n as usize);
        let pair = |name: &str| args[name].as_array().map(|p| (side(&p[0]), side(&p[1])));
        let sizes = SizeConditioning {
            original: pair("original_size"),
            crop: pair("crops_coords_top_left").unwrap_or_default(),
            target: pair("target_size"),
            negative: NegativeSizes {
                original: pair("negative_original_size"),
                crop: pair("negative_crops_coords_top_left").unwrap_or_default(),
                target: pair("negative_target_size"),
            },
            aesthetic_score: number("aesthetic_score").unwrap_or(6.0),
            negative_aesthetic_score: number("negative_aesthetic_score").unwrap_or(2.5),
        };
        Ok(Request {
            prompts: texts(&args["prompt"]),
            negative_prompts: texts(&args["negative_prompt"]),
            second_prompts: texts(&args["prompt_2"]),
            second_negative_prompts: texts(&args["negative_prompt_2"]),
            images_per_prompt: whole("num_images_per_prompt").unwrap_or(1),
            seeds: self.json["seeds"].as_array().expect("seeds").iter().filter_map(Value::as_u64).collect(),
            steps: whole("num_inference_steps"),
            guidance: number("guidance_scale"),
            guidance_rescale: number("guidance_rescale").unwrap_or(0.0),
            eta: number("eta").unwrap_or(0.0),
            width: whole("width"),
            height: whole("height"),
            strength: number("strength"),
            clip_skip: whole("clip_skip"),
            start: self.start(pipeline)?,
            sizes,
            denoising_start: number("denoising_start"),
            denoising_end: number("denoising_end"),
            ..Request::new("")
        })
    }

    fn start(&self, pipeline: &Pipeline) -> t2i::Result<Start> {
        let file = |name: &str| self.json["files"][name].as_str().map(|file| pipelines().join("inputs").join(file));
        if let Some(base) = self.json["from_cases"]["image"].as_str() {
            return Ok(Start::Latent { latent: Case::read(&self.models, base).tensors.tensor("latents") });
        }
        let Some(image) = file("image") else {
            return Ok(Start::Noise);
        };
        let device = pipeline.device();
        // diffusers brings pictures down to multiples of 8.
        let [_, _, height, width] = t2i::read_image(&image, device)?.dims();
        let image = t2i::read_image_resized(&image, width - width % 8, height - height % 8, device)?;
        Ok(match file("mask_image") {
            Some(mask) => Start::Inpaint { image, mask: t2i::read_mask(&mask, device)? },
            None => Start::Image { image },
        })
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn side(value: &Value) -> usize {
    value.as_u64().expect("a size") as usize
}
