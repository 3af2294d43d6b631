//! A model on disk: a diffusers folder or a single file, both seen as parts in diffusers' layout.

mod family;
mod folder;
mod names;
mod part;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub use self::family::Family;
pub use self::part::Part;

use self::folder::Folder;
use crate::ldm::SingleFile;
use crate::{Error, Options, Result, Weights};

/// A checkpoint of the Stable Diffusion family. Opening reads configs and headers; weights are read when a module
/// is loaded from [`weights`](Checkpoint::weights).
#[derive(Debug, Clone)]
pub struct Checkpoint {
    path: PathBuf,
    source: Source,
    family: Family,
    in_channels: usize,
}

#[derive(Debug, Clone)]
enum Source {
    Folder(Folder),
    File(SingleFile),
}

impl Checkpoint {
    /// Opens a diffusers folder (one with a `model_index.json`), or a single `.safetensors` or `.ckpt` file.
    ///
    /// # Errors
    /// If it is neither, cannot be read, or is corrupt.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        std::fs::metadata(path).map_err(Error::io(path))?;
        match path.is_dir() {
            true => Self::from_folder(path),
            false => Self::from_file(path),
        }
    }

    fn from_folder(path: &Path) -> Result<Self> {
        let folder = Folder::open(path)?;
        let unet = folder.options(Part::Unet)?;
        let in_channels = unet.peek("in_channels").and_then(Value::as_u64).unwrap_or(4) as usize;
        let family = family::of_folder(&folder, &unet);
        Ok(Self { path: path.to_owned(), source: Source::Folder(folder), family, in_channels })
    }

    fn from_file(path: &Path) -> Result<Self> {
        let file = SingleFile::open(path)?;
        let (family, in_channels) = (file.family(), file.in_channels());
        Ok(Self { path: path.to_owned(), source: Source::File(file), family, in_channels })
    }

    /// Chooses the weight files of a variant, such as `fp16` of `diffusion_pytorch_model.fp16.safetensors`, in every
    /// part that has them.
    ///
    /// Without this, the files without a variant are taken; a part that has one variant only is taken in that.
    ///
    /// # Errors
    /// If no part has files of that variant.
    pub fn with_variant(mut self, variant: &str) -> Result<Self> {
        let known = match &mut self.source {
            Source::Folder(folder) => match folder.choose(variant) {
                true => return Ok(self),
                false => folder.variants(),
            },
            Source::File(_) => Vec::new(),
        };
        let nearest = crate::nearest(variant, known.iter().map(String::as_str));
        Err(Error::UnknownName { kind: "variant", name: variant.to_owned(), nearest })
    }

    /// The folder or file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which models the checkpoint is one of.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether the UNet takes 9 channels: latent, mask and masked picture.
    pub fn is_inpainting(&self) -> bool {
        self.in_channels == 9
    }

    /// The name of diffusers' pipeline for the checkpoint, such as `StableDiffusionPipeline`.
    pub fn pipeline_class(&self) -> &str {
        match &self.source {
            Source::Folder(folder) => folder.class_name(),
            Source::File(_) => self.family.pipeline_class(self.is_inpainting()),
        }
    }

    /// A flag of `model_index.json`, such as `force_zeros_for_empty_prompt`, or `default` where it is not set.
    ///
    /// # Errors
    /// If it is neither true nor false.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match &self.source {
            Source::Folder(folder) => folder.flag(name, default),
            Source::File(_) => Ok(self.family.flag(name).unwrap_or(default)),
        }
    }

    /// Whether the checkpoint has a part.
    pub fn has(&self, part: Part) -> bool {
        match &self.source {
            Source::Folder(folder) => folder.has(part),
            Source::File(file) => file.has(part),
        }
    }

    /// The folder of a part. A single file has none: its tokenizers are the built-in ones.
    pub fn folder(&self, part: Part) -> Option<PathBuf> {
        match &self.source {
            Source::Folder(folder) if folder.has(part) => Some(folder.path(part)),
            _ => None,
        }
    }

    /// The config of a part. That of a single file is made from the shapes of its tensors, and from what is common
    /// to its family where shapes do not say it.
    ///
    /// # Errors
    /// If the part or its config is missing or corrupt.
    pub fn options(&self, part: Part) -> Result<Options> {
        match &self.source {
            Source::Folder(folder) => folder.options(part),
            Source::File(file) => file.options(part),
        }
    }

    /// The weights of a part, under diffusers' names, whatever the layout of the checkpoint.
    ///
    /// # Errors
    /// If the part or its weights are missing or corrupt.
    pub fn weights(&self, part: Part) -> Result<Weights> {
        match &self.source {
            Source::Folder(folder) => names::classic(part, folder.weights(part)?),
            Source::File(file) => names::classic(part, file.weights(part)?),
        }
    }

    /// What the UNet was trained to predict: `epsilon`, `v_prediction` or `sample`.
    ///
    /// # Errors
    /// If the scheduler's config is missing or corrupt.
    pub fn prediction_type(&self) -> Result<String> {
        let options = self.options(Part::Scheduler)?;
        Ok(options.peek("prediction_type").and_then(Value::as_str).unwrap_or("epsilon").to_owned())
    }
}
