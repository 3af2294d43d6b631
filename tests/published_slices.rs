//! The numbers that diffusers' own tests of its seeded dummy pipelines expect: every case of
//! `tests/golden/pipelines/published` names the test, its source and commit, the numbers and their tolerance.

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::{Tensors, baked, device, golden, json, numbers, parity};
use t2i::core::{Family, Options, Weights};
use t2i::prelude::*;
use t2i::unet::UNetConfig;
use t2i::vae::CodecConfig;
use t2i::{Encoded, Parts};

#[test]
fn every_published_slice_is_reproduced() {
    let names: Vec<String> = json(&published().join("cases.json"));
    let failures: Vec<String> = names.iter().filter_map(|name| Case::read(name).check().err()).collect();
    assert!(names.len() >= 30, "only {} cases", names.len());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn published() -> PathBuf {
    golden().join("pipelines/published")
}

struct Case {
    folder: PathBuf,
    json: Value,
}

impl Case {
    fn read(name: &str) -> Self {
        let folder = published().join("cases").join(name);
        Self { json: json(&folder.join("case.json")), folder }
    }

    fn check(&self) -> Result<(), String> {
        let name = self.text("name");
        let pictures = self.pictures().map_err(|error| format!("{name}: {error}"))?;
        let expected: Vec<f32> = numbers(&self.json["expected"]);
        let found = last_corner(&pictures);
        let tolerance = self.json["tolerance"].as_f64().expect("a tolerance") as f32;
        let error = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        parity("diffusers' published test slices", name, tolerance, error);
        let whole = found.len() == expected.len() && found.iter().all(|value| value.is_finite());
        match whole && error <= tolerance {
            true => Ok(()),
            false => Err(format!("{name}: {found:?}, published {expected:?}, tolerance {tolerance}")),
        }
    }

    fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_else(|| panic!("no {field}"))
    }

    fn pictures(&self) -> t2i::Result<Pictures> {
        let pipeline = self.pipeline()?;
        let args = &self.json["args"];
        let whole = |name: &str| args[name].as_u64().map(|n| n as usize);
        let (encoded, encoded_negative) = self.contexts();
        let prompts = args["prompt"].as_array().map_or(1, Vec::len);
        pipeline.generate(&Request {
            encoded: Some(encoded),
            encoded_negative,
            images_per_prompt: prompts,
            seeds: vec![self.json["seed"].as_u64().expect("a seed")],
            steps: whole("num_inference_steps"),
            guidance: args["guidance_scale"].as_f64(),
            guidance_rescale: args["guidance_rescale"].as_f64().unwrap_or(0.0),
            width: whole("width"),
            height: whole("height"),
            strength: args["strength"].as_f64(),
            start: self.start()?,
            ..Request::new("")
        })
    }

    fn pipeline(&self) -> t2i::Result<Pipeline> {
        let unet_folder = published().join("unets").join(self.text("unet"));
        let vae_folder = published().join("vaes").join(self.text("vae"));
        let unet = UNetConfig::from_options(Options::read(&unet_folder.join("config.json"))?)?;
        let codec = CodecConfig::from_options(Options::read(&vae_folder.join("config.json"))?)?;
        let scheduler = SchedulerConfig::from_options(self.scheduler_options()?)?;
        let xl = unet.needs_added_conditioning();
        let pooled = 32; // the projection of the tests' text encoders
        let time_ids = unet.text_time.map(|added| added.time_ids(pooled));
        let parts = Parts {
            text_encoders: Vec::new(),
            unet: Weights::open(&baked(&unet_folder))?.load(unet.init(&device()), FloatDType::F32)?,
            codec: codec.load(&Weights::open(&baked(&vae_folder))?, &device(), FloatDType::F32)?,
            scheduler,
            family: if xl { Family::SdXl } else { Family::Sd1 },
            zeros_for_no_negative: xl,
            wants_aesthetic_score: time_ids == Some(5),
        };
        Pipeline::from_parts(parts, &device())
    }

    /// Two of the tests make a scheduler of the pipeline's whole config, whose parts are no options of a scheduler.
    fn scheduler_options(&self) -> t2i::Result<Options> {
        let path = self.folder.join("scheduler_config.json");
        let mut config: serde_json::Map<String, Value> = json(&path);
        let of_the_pipeline = ["force_zeros_for_empty_prompt", "requires_aesthetics_score"];
        config.retain(|name, value| {
            let is_part = value.as_array().is_some_and(|part| part.len() == 2 && !part[0].is_number());
            !is_part && !of_the_pipeline.contains(&name.as_str())
        });
        Options::from_json(path.display().to_string(), Value::Object(config))
    }

    fn contexts(&self) -> (Encoded, Option<Encoded>) {
        let context = &self.json["context"];
        let tensors = Tensors::open(&published().join(context["file"].as_str().expect("a file")));
        let encoded = |context: &str, pooled: Option<&str>| Encoded {
            context: tensors.tensor(context),
            pooled: pooled.map(|pooled| tensors.tensor(pooled)),
        };
        let positive = encoded(context["context"].as_str().expect("a context"), context["pooled"].as_str());
        let negative = match context["negative_context"].as_str() {
            None | Some("zeros") => None,
            Some(name) => Some(encoded(name, context["negative_pooled"].as_str())),
        };
        (positive, negative)
    }

    fn start(&self) -> t2i::Result<Start> {
        let file = |name: &str| self.json["files"][name].as_str().map(|file| self.folder.join(file));
        let Some(image) = file("image") else {
            return Ok(Start::Noise);
        };
        let image = pixels(&image, "image")?;
        let Some(mask) = file("mask_image") else {
            return Ok(Start::Image { image });
        };
        let mask = match is_tensors(&mask) {
            true => Tensors::open(&mask).tensor("mask_image"),
            false => t2i::read_mask(&mask, &device())?,
        };
        Ok(Start::Inpaint { image, mask })
    }
}

/// A picture, or a tensor in [0, 1], which diffusers brings to [-1, 1].
fn pixels(path: &Path, name: &str) -> t2i::Result<Tensor<4>> {
    match is_tensors(path) {
        true => Ok(Tensors::open(path).tensor(name).mul_scalar(2.0).sub_scalar(1.0)),
        false => t2i::read_image(path, &device()),
    }
}

fn is_tensors(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "safetensors")
}

/// The last image's last channel, its last 3 by 3 pixels, row by row, in [0, 1].
fn last_corner(pictures: &Pictures) -> Vec<f32> {
    let [images, channels, height, width] = pictures.pixels.dims();
    let corner = pictures.pixels.clone().slice([
        images - 1..images,
        channels - 1..channels,
        height - 3..height,
        width - 3..width,
    ]);
    corner.mul_scalar(0.5).add_scalar(0.5).clamp(0.0, 1.0).into_data().iter::<f32>().collect()
}
