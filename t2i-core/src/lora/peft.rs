//! What PEFT's config says about the size of a LoRA's change.
//!
//! diffusers writes it as JSON into the metadata of the file, PEFT itself as `adapter_config.json` beside it.
//! <https://huggingface.co/docs/peft/package_reference/lora#peft.LoraConfig>

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::name::PEFT;
use crate::weights::{is_pickle, metadata};
use crate::{Error, Part, Result, Weights};

/// The key of diffusers' metadata. <https://github.com/huggingface/diffusers/blob/v0.42.1/src/diffusers/loaders/lora_base.py>
pub(super) const METADATA: &str = "lora_adapter_metadata";

/// The configs of the parts of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Configs {
    parts: BTreeMap<Part, Config>,
    /// For every part, where the file does not tell them apart.
    whole: Option<Config>,
}

/// The options of `LoraConfig` that change what a file's tensors mean; those that say how they came to be do not.
#[derive(Debug, Clone, Deserialize)]
struct Config {
    #[serde(default = "default_alpha")]
    lora_alpha: f64,
    alpha_pattern: Option<BTreeMap<String, f64>>,
    #[serde(default)]
    use_rslora: bool,
    init_lora_weights: Option<Value>,
}

/// PEFT's own default.
fn default_alpha() -> f64 {
    8.0
}

impl Configs {
    /// The configs that go with a file.
    ///
    /// # Errors
    /// If they are corrupt, or ask for something that is not supported.
    pub(super) fn read(path: &Path, weights: &Weights) -> Result<Self> {
        if weights.has_under(PEFT) {
            return Self::beside(&path.with_file_name("adapter_config.json"));
        }
        let text = if is_pickle(path) { None } else { metadata(path)?.remove(METADATA) };
        match text {
            Some(text) => Self::parse(&path.display().to_string(), &text),
            None => Ok(Self::default()),
        }
    }

    fn beside(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let config = serde_json::from_str(&text).map_err(|e| Error::corrupt(path, e))?;
        let whole = check(&path.display().to_string(), config)?;
        Ok(Self { parts: BTreeMap::new(), whole: Some(whole) })
    }

    /// The options stand side by side, each after the name of its part.
    fn parse(origin: &str, text: &str) -> Result<Self> {
        let corrupt = |e: serde_json::Error| Error::corrupt(origin, format!("{METADATA}: {e}"));
        let options: Map<String, Value> = serde_json::from_str(text).map_err(corrupt)?;
        let mut configs = Self::default();
        for part in [Part::Unet, Part::TextEncoder, Part::TextEncoder2] {
            let of_part: Map<_, _> = options
                .iter()
                .filter_map(|(key, value)| {
                    Some((key.strip_prefix(part.name())?.strip_prefix('.')?.to_owned(), value.clone()))
                })
                .collect();
            if !of_part.is_empty() {
                let config = serde_json::from_value(Value::Object(of_part)).map_err(corrupt)?;
                configs.parts.insert(part, check(origin, config)?);
            }
        }
        if configs.parts.is_empty() {
            configs.whole = Some(check(origin, serde_json::from_value(Value::Object(options)).map_err(corrupt)?)?);
        }
        Ok(configs)
    }

    /// The factor before `up down` in the layer at `path`; 1 where no config says otherwise.
    pub(super) fn scale(&self, part: Part, path: &str, rank: usize) -> f64 {
        let Some(config) = self.parts.get(&part).or(self.whole.as_ref()) else {
            return 1.0;
        };
        let patterns = config.alpha_pattern.iter().flatten();
        let alpha =
            patterns.clone().find(|(pattern, _)| fits(pattern, path)).map_or(config.lora_alpha, |(_, alpha)| *alpha);
        let rank = rank as f64;
        alpha / if config.use_rslora { rank.sqrt() } else { rank }
    }
}

/// Whether a path is or ends with the names of a pattern; `^` asks for the whole path.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.strip_prefix('^') {
        Some(whole) => path == whole,
        None => path.strip_suffix(pattern).is_some_and(|before| before.is_empty() || before.ends_with('.')),
    }
}

/// Patterns are regular expressions; all that are written are plain paths. Some ways to begin a training change the
/// model's own weights, which the file does not hold.
fn check(origin: &str, config: Config) -> Result<Config> {
    let unsupported = |option: &str, value: String, supported: &str| Error::UnsupportedOption {
        origin: origin.to_owned(),
        option: option.to_owned(),
        value,
        supported: supported.to_owned(),
    };
    let special = |pattern: &&String| pattern.contains(|c| r"*+?[](){}|\$".contains(c));
    if let Some(pattern) = config.alpha_pattern.iter().flatten().map(|(pattern, _)| pattern).find(special) {
        return Err(unsupported("alpha_pattern", pattern.clone(), "paths of layers, or ends of them"));
    }
    let alphas = config.alpha_pattern.iter().flatten().map(|(_, alpha)| *alpha);
    if let Some(alpha) = alphas.chain([config.lora_alpha]).find(|alpha| !alpha.is_finite()) {
        return Err(unsupported("lora_alpha", alpha.to_string(), "a finite number"));
    }
    match &config.init_lora_weights {
        Some(Value::String(way)) if ["pissa", "olora", "corda", "loftq"].iter().any(|name| way.starts_with(name)) => {
            Err(unsupported("init_lora_weights", way.clone(), "a way that leaves the model's weights as they are"))
        }
        _ => Ok(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_own_alpha() {
        let text = r#"{"unet.r": 4, "unet.lora_alpha": 2, "unet.alpha_pattern": {"attn1.to_q": 6},
            "text_encoder.lora_alpha": 3, "text_encoder.use_rslora": true, "text_encoder_2.lora_alpha": 8}"#;
        let configs = Configs::parse("test", text).expect("good");
        assert_eq!(configs.scale(Part::Unet, "a.attn2.to_q", 4), 0.5);
        assert_eq!(configs.scale(Part::Unet, "a.attn1.to_q", 4), 1.5);
        assert_eq!(configs.scale(Part::Unet, "a.xattn1.to_q", 4), 0.5);
        assert_eq!(configs.scale(Part::TextEncoder, "q_proj", 4), 1.5);
        assert_eq!(configs.scale(Part::TextEncoder2, "q_proj", 4), 2.0);
    }

    #[test]
    fn a_config_without_parts_is_for_all() {
        let configs = Configs::parse("test", r#"{"lora_alpha": 2, "alpha_pattern": null}"#).expect("good");
        assert_eq!(configs.scale(Part::Unet, "conv_in", 4), 0.5);
        assert_eq!(Configs::default().scale(Part::Unet, "conv_in", 4), 1.0);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let error = |text| Configs::parse("test", text).expect_err("unsupported").to_string();
        assert!(error(r#"{"alpha_pattern": {"a.*b": 1}}"#).contains("a.*b"));
        assert!(error(r#"{"init_lora_weights": "pissa_niter_4"}"#).contains("pissa_niter_4"));
        assert!(error(r#"{"lora_alpha": "x"}"#).contains(METADATA));
    }
}
