//! What the command lines of txt2img, img2img and inpaint have in common.
#![allow(dead_code, unreachable_pub, reason = "each example uses its share")]

pub mod adapters;

use std::error::Error;
use std::path::{Path, PathBuf};

use burn::tensor::{FloatDType, Tensor};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use t2i::prelude::*;

/// Options of every picture-making example.
#[derive(Parser, Debug)]
pub struct Options {
    /// What the picture shows
    pub prompt: String,
    /// A diffusers folder, or a single .safetensors or .ckpt file
    #[arg(long)]
    pub model: PathBuf,
    /// What the picture should not show
    #[arg(long)]
    pub negative_prompt: Option<String>,
    /// Steps of the sampler [default: the model's]
    #[arg(long)]
    pub steps: Option<usize>,
    /// Scale of classifier-free guidance; 1 turns it off [default: the model's]
    #[arg(long)]
    pub guidance: Option<f64>,
    /// How far guidance is scaled back to the spread of the prompt's prediction, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    pub guidance_rescale: f64,
    /// Seed of torch's CPU generator
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Width in pixels, a multiple of 8 [default: the model's]
    #[arg(long)]
    pub width: Option<usize>,
    /// Height in pixels, a multiple of 8 [default: the model's]
    #[arg(long)]
    pub height: Option<usize>,
    /// Pictures made of the prompt
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
    /// A sampler's name, as "DPM++ 2M Karras" or "EulerDiscreteScheduler" [default: the model's]
    #[arg(long)]
    pub sampler: Option<String>,
    /// A scheduler_config.json in place of the model's
    #[arg(long)]
    pub scheduler_config: Option<PathBuf>,
    /// Noise that DDIM puts back, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    pub eta: f64,
    /// A learned embedding (textual inversion); TOKEN is its word in prompts [default: the file's]; may be repeated
    #[arg(long, value_name = "FILE[:TOKEN]", value_parser = adapters::embedding)]
    pub embedding: Vec<adapters::Embedding>,
    /// A LoRA, added STRENGTH times [default: 1]; may be repeated
    #[arg(long, value_name = "FILE[:STRENGTH]", value_parser = adapters::lora)]
    pub lora: Vec<adapters::Lora>,
    /// Where to compute; each name is a Cargo feature
    #[arg(long, default_value = t2i::DEVICES[0])]
    pub device: String,
    /// Type of the weights: f32, f16 or bf16. On a GPU the arithmetic is of this type too, on a CPU it is f32
    #[arg(long, default_value = "f32", value_parser = dtype)]
    pub dtype: FloatDType,
    /// Encode and decode pictures a tile at a time, for sizes that do not fit into memory
    #[arg(long)]
    pub tile: bool,
    /// The picture; a batch gets -0, -1, ... before the extension
    #[arg(long, default_value = "output.png")]
    pub output: PathBuf,
    /// Also write noise, context, pooled, latents and image as safetensors
    #[arg(long)]
    pub dump: Option<PathBuf>,
    /// The tensor `noise` of this safetensors file in place of the seeded one
    #[arg(long)]
    pub init_noise: Option<PathBuf>,
    /// XL: the size that the training picture had, HEIGHTxWIDTH [default: the picture's]
    #[arg(long, value_parser = size)]
    pub original_size: Option<(usize, usize)>,
    /// XL: the size that the training picture was cut to, HEIGHTxWIDTH [default: the picture's]
    #[arg(long, value_parser = size)]
    pub target_size: Option<(usize, usize)>,
    /// XL: where the training picture was cut, TOP,LEFT
    #[arg(long, value_parser = corner, default_value = "0,0")]
    pub crop: (usize, usize),
}

impl Options {
    /// Loads the model, with the sampler, the embeddings and the LoRAs that were asked for.
    pub fn pipeline(&self) -> Result<Pipeline, t2i::Error> {
        let mut pipeline = self.load(&self.model)?;
        for adapters::Embedding { path, token } in &self.embedding {
            pipeline.load_embedding(path, token.as_deref())?;
        }
        for adapters::Lora { path, strength } in &self.lora {
            pipeline.load_lora(path, *strength)?;
        }
        Ok(pipeline)
    }

    /// Loads another model, with the same sampler.
    pub fn load(&self, model: &Path) -> Result<Pipeline, t2i::Error> {
        let spinner = ProgressBar::new_spinner().with_message(format!("loading {}", model.display()));
        spinner.enable_steady_tick(std::time::Duration::from_millis(100));
        let mut pipeline = Pipeline::load(model, &t2i::device(&self.device)?, self.dtype)?;
        spinner.finish_and_clear();
        eprintln!("loaded {} in {:.1} s", model.display(), spinner.elapsed().as_secs_f64());
        if self.tile {
            pipeline.enable_tiling();
        }
        if let Some(path) = &self.scheduler_config {
            pipeline.set_scheduler(SchedulerConfig::from_options(t2i::core::Options::read(path)?)?);
        }
        if let Some(name) = &self.sampler {
            pipeline.set_sampler(name)?;
        }
        Ok(pipeline)
    }

    /// The size that a picture of the given (width, height) is brought to: as asked for, or down to multiples of 8.
    pub fn size(&self, (width, height): (usize, usize)) -> (usize, usize) {
        (self.width.unwrap_or(width - width % 8), self.height.unwrap_or(height - height % 8))
    }

    /// The request that these options describe.
    pub fn request(&self, pipeline: &Pipeline) -> Result<Request, t2i::Error> {
        Ok(Request {
            negative_prompts: self.negative_prompt.iter().cloned().collect(),
            images_per_prompt: self.batch,
            seeds: vec![self.seed],
            noise: self.init_noise.as_deref().map(|path| noise(path, pipeline)).transpose()?,
            steps: self.steps,
            guidance: self.guidance,
            guidance_rescale: self.guidance_rescale,
            eta: self.eta,
            width: self.width,
            height: self.height,
            sizes: SizeConditioning {
                original: self.original_size,
                crop: self.crop,
                target: self.target_size,
                ..SizeConditioning::default()
            },
            ..Request::new(&self.prompt)
        })
    }

    /// Runs the request under a progress bar, and writes what was asked for.
    pub fn run(&self, pipeline: &Pipeline, request: &Request) -> Result<(), t2i::Error> {
        self.watch(pipeline.steps(request)?)
    }

    /// Shows the progress of a run, and writes what was asked for.
    pub fn watch(&self, mut run: Run<'_>) -> Result<(), t2i::Error> {
        for warning in run.warnings() {
            eprintln!("{warning}");
        }
        let bar = ProgressBar::new(run.len() as u64).with_style(style());
        for step in &mut run {
            step?;
            bar.inc(1);
        }
        bar.set_message("decoding");
        let pictures = run.finish()?;
        bar.finish_and_clear();
        eprintln!("made in {:.1} s", bar.elapsed().as_secs_f64());
        self.write(&pictures)
    }

    fn write(&self, pictures: &Pictures) -> Result<(), t2i::Error> {
        let [n, _, _, _] = pictures.pixels.dims();
        for i in 0..n {
            let path = if n == 1 { self.output.clone() } else { numbered(&self.output, i) };
            t2i::write_png(&path, pictures.pixels.clone().narrow(0, i, 1))?;
            eprintln!("{}", path.display());
        }
        match &self.dump {
            Some(path) => t2i::write_tensors(path, &pictures.tensors()),
            None => Ok(()),
        }
    }
}

/// (width, height) of pictures.
pub fn size_of(pictures: &Tensor<4>) -> (usize, usize) {
    let [_, _, height, width] = pictures.dims();
    (width, height)
}

/// Prints an error in one line, and makes the program's exit status.
pub fn report(result: Result<(), t2i::Error>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn noise(path: &Path, pipeline: &Pipeline) -> Result<Tensor<4>, t2i::Error> {
    t2i::read_tensor(path, "noise", pipeline.device())
}

fn numbered(path: &Path, i: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{i}.{extension}"))
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_bar} {pos}/{len} steps, {per_sec}, {eta} left {msg}")
        .expect("the template is constant and valid")
}

fn dtype(name: &str) -> Result<FloatDType, String> {
    match name {
        "f32" => Ok(FloatDType::F32),
        "f16" => Ok(FloatDType::F16),
        "bf16" => Ok(FloatDType::BF16),
        _ => Err("must be f32, f16 or bf16".to_owned()),
    }
}

fn size(text: &str) -> Result<(usize, usize), Box<dyn Error + Send + Sync>> {
    pair(text, 'x', "HEIGHTxWIDTH, as 1024x768")
}

fn corner(text: &str) -> Result<(usize, usize), Box<dyn Error + Send + Sync>> {
    pair(text, ',', "TOP,LEFT, as 0,64")
}

fn pair(text: &str, by: char, expected: &str) -> Result<(usize, usize), Box<dyn Error + Send + Sync>> {
    let (a, b) = text.split_once(by).ok_or_else(|| format!("must be {expected}"))?;
    Ok((a.parse()?, b.parse()?))
}
