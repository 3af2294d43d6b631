//! The layout of diffusers: a folder for each part, and `model_index.json`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Part;
use crate::{Error, Options, Result, Weights};

#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
    index: Map<String, Value>,
    variant: Option<String>,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = path.join("model_index.json");
        if !file.exists() {
            return Err(missing(path, "model_index.json"));
        }
        let text = std::fs::read_to_string(&file).map_err(Error::io(&file))?;
        let index = serde_json::from_str(&text).map_err(|e| Error::corrupt(&file, e))?;
        Ok(Self { path: path.to_owned(), index, variant: None })
    }

    pub(super) fn class_name(&self) -> &str {
        self.index.get("_class_name").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.index.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(Error::UnsupportedOption {
                origin: self.path.join("model_index.json").display().to_string(),
                option: name.to_owned(),
                value: other.to_string(),
                supported: "true or false".to_owned(),
            }),
        }
    }

    /// Whether the index names a class for the part; `[null, null]` says that the pipeline goes without.
    pub(super) fn has(&self, part: Part) -> bool {
        matches!(self.index.get(part.name()), Some(Value::Array(class)) if !class.contains(&Value::Null))
    }

    pub(super) fn path(&self, part: Part) -> PathBuf {
        self.path.join(part.name())
    }

    pub(super) fn options(&self, part: Part) -> Result<Options> {
        let file = self.path(part).join(part.config_file());
        match file.exists() {
            true => Options::read(&file),
            false => Err(missing(&self.path, format!("{part}/{}", part.config_file()))),
        }
    }

    /// Prefers safetensors to pickles, whole files to shards, and what was chosen to what was not.
    pub(super) fn weights(&self, part: Part) -> Result<Weights> {
        let files = self.weight_files(part)?;
        let of = |variant: Option<&str>| files.iter().find(|file| file.variant.as_deref() == variant);
        let chosen = self.variant.as_deref().and_then(|variant| of(Some(variant)));
        let file = match chosen.or_else(|| of(None)) {
            Some(file) => file,
            None => self.only_variant(part, &files)?,
        };
        Weights::open(&file.path)
    }

    /// The variant of a part whose weights have no plain file.
    fn only_variant<'a>(&self, part: Part, files: &'a [WeightFile]) -> Result<&'a WeightFile> {
        let variants: BTreeSet<_> = files.iter().filter_map(|file| file.variant.as_deref()).collect();
        match (files.first(), variants.len()) {
            (Some(file), 1) => Ok(file),
            (None, _) => Err(missing(&self.path, format!("{part}/{}.safetensors", part.weight_stems().0))),
            _ => Err(Error::InvalidValue {
                field: "variant",
                value: "not chosen".to_owned(),
                expected: format!("one of {} for {part}", variants.into_iter().collect::<Vec<_>>().join(", ")),
            }),
        }
    }

    /// Takes a variant wherever there is one. False if there is none anywhere.
    pub(super) fn choose(&mut self, variant: &str) -> bool {
        let known = self.variants().iter().any(|known| known == variant);
        if known {
            self.variant = Some(variant.to_owned());
        }
        known
    }

    pub(super) fn variants(&self) -> Vec<String> {
        let networks = Part::ALL.into_iter().filter(|part| part.has_weights() && self.has(*part));
        let files = networks.flat_map(|part| self.weight_files(part).unwrap_or_default());
        files.filter_map(|file| file.variant).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The weight files of a part, best first.
    fn weight_files(&self, part: Part) -> Result<Vec<WeightFile>> {
        let folder = self.path(part);
        if !folder.is_dir() {
            return Err(missing(&self.path, format!("the folder `{part}`")));
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let path = entry.map_err(Error::io(&folder))?.path();
            files.extend(WeightFile::parse(part, path));
        }
        files.sort();
        Ok(files)
    }
}

/// The fields stand in the order of preference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct WeightFile {
    is_pickle: bool,
    is_sharded: bool,
    variant: Option<String>,
    path: PathBuf,
}

impl WeightFile {
    /// Understands `model.safetensors`, `model.fp16.safetensors`, `model.safetensors.index.json`, both
    /// `model.safetensors.index.fp16.json` and `model.fp16.safetensors.index.json`, and the same of `.bin`.
    fn parse(part: Part, path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (safetensors, pickle) = part.weight_stems();
        [(safetensors, "safetensors", false), (pickle, "bin", true)].into_iter().find_map(
            |(stem, format, is_pickle)| {
                let rest: Vec<_> = name.strip_prefix(stem)?.strip_prefix('.')?.split('.').collect();
                let (variant, is_sharded) = match rest.as_slice() {
                    [f] if *f == format => (None, false),
                    [variant, f] if *f == format => (Some(*variant), false),
                    [f, "index", "json"] if *f == format => (None, true),
                    [f, "index", variant, "json"] if *f == format => (Some(*variant), true),
                    [variant, f, "index", "json"] if *f == format => (Some(*variant), true),
                    _ => return None,
                };
                let variant = variant.map(str::to_owned);
                Some(Self { is_pickle, is_sharded, variant, path: path.clone() })
            },
        )
    }
}

fn missing(path: &Path, what: impl Into<String>) -> Error {
    Error::MissingPart { path: path.to_owned(), what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(part: Part, name: &str) -> Option<(bool, bool, Option<String>)> {
        let file = WeightFile::parse(part, name.into())?;
        Some((file.is_pickle, file.is_sharded, file.variant))
    }

    #[test]
    fn every_form_of_name_is_understood() {
        let fp16 = || Some("fp16".to_owned());
        let unet = |name| parse(Part::Unet, name);
        assert_eq!(unet("diffusion_pytorch_model.safetensors"), Some((false, false, None)));
        assert_eq!(unet("diffusion_pytorch_model.bin"), Some((true, false, None)));
        assert_eq!(unet("diffusion_pytorch_model.fp16.safetensors"), Some((false, false, fp16())));
        assert_eq!(unet("diffusion_pytorch_model.safetensors.index.json"), Some((false, true, None)));
        assert_eq!(unet("diffusion_pytorch_model.safetensors.index.fp16.json"), Some((false, true, fp16())));
        assert_eq!(unet("diffusion_pytorch_model.fp16.safetensors.index.json"), Some((false, true, fp16())));
        assert_eq!(unet("diffusion_pytorch_model-00001-of-00002.safetensors"), None);
        assert_eq!(unet("diffusion_pytorch_model.onnx"), None);
        assert_eq!(parse(Part::TextEncoder, "pytorch_model.bin"), Some((true, false, None)));
        assert_eq!(parse(Part::TextEncoder, "model.fp16.safetensors"), Some((false, false, fp16())));
        assert_eq!(parse(Part::TextEncoder, "model.bin"), None);
    }
}
