//! Single files in the layout of the original code: all parts in one file, under names of their own.
//!
//! Nothing but the file is needed: the configs are inferred from the shapes of the tensors.
//! <https://github.com/CompVis/latent-diffusion>, <https://github.com/Stability-AI/generative-models>

mod clip;
mod config;
mod openclip;
mod scheduler;
mod unet;
mod vae;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) use self::unet::{ModelLayout, original};
use crate::weights::pickled_number;
use crate::{Error, Family, Options, Part, Result, Weights};

#[derive(Debug, Clone)]
pub(crate) struct SingleFile {
    path: PathBuf,
    weights: Weights,
    family: Family,
}

const UNET: &str = "model.diffusion_model.";
const VAE: [&str; 2] = ["first_stage_model.", "vae."];
const CLIP: &str = "cond_stage_model.transformer.";
const OPEN_CLIP: &str = "cond_stage_model.model.";
const XL_CLIP: &str = "conditioner.embedders.0.transformer.";
const XL_OPEN_CLIP: &str = "conditioner.embedders.1.model.";
const REFINER_OPEN_CLIP: &str = "conditioner.embedders.0.model.";

/// Zero-dimensional or empty tensors with which fine-tuners say how they trained, beside the weights.
const V_PREDICTION: &str = "v_pred";
const ZERO_TERMINAL_SNR: &str = "ztsnr";

impl SingleFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::from_weights(path, Weights::open(path)?)
    }

    fn from_weights(path: &Path, weights: Weights) -> Result<Self> {
        let family = family(&weights).ok_or_else(|| foreign(path, &weights))?;
        let file = Self { path: path.to_owned(), weights, family };
        match file.strangers() {
            tensors if tensors.is_empty() => Ok(file),
            tensors => Err(Error::UnusedTensors { origin: file.weights.origin().to_owned(), tensors }),
        }
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    pub(crate) fn in_channels(&self) -> usize {
        match self.weights.shape(&format!("{UNET}input_blocks.0.0.weight")) {
            Some(&[_, channels, _, _]) => channels,
            _ => 4,
        }
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        match part {
            Part::Scheduler => true,
            Part::Tokenizer => self.has(Part::TextEncoder),
            Part::Tokenizer2 => self.has(Part::TextEncoder2),
            _ => self.prefixes(part).iter().any(|prefix| self.weights.has_under(prefix)),
        }
    }

    /// The weights of a part under diffusers' names. Names that the layout does not have stay as they are, so that
    /// loading them into a module says so.
    pub(crate) fn weights(&self, part: Part) -> Result<Weights> {
        let local = self.local(part)?;
        match part {
            Part::Unet => {
                let layout = unet::Layout::of(&local);
                local.rename(|name| Some(unet::key(name, &layout).unwrap_or_else(|| name.to_owned())))
            }
            Part::Vae => {
                let levels = vae::levels(&local, "decoder.up");
                local.rename(|name| vae::key(name, levels))
            }
            _ if self.is_open_clip(part) => openclip::weights(local, self.drops_last_layer()),
            _ => local.rename(clip::key),
        }
    }

    pub(crate) fn options(&self, part: Part) -> Result<Options> {
        let config = match part {
            Part::Scheduler => scheduler::config(self.family, &self.training()),
            Part::Tokenizer | Part::Tokenizer2 => config::tokenizer(self.family, part),
            Part::Unet => {
                let pooled = self.local(Part::TextEncoder2).ok().and_then(|text| openclip::projection(&text));
                unet::config(&self.local(part)?, self.family, pooled, self.sample_size())
            }
            Part::Vae => vae::config(&self.local(part)?, self.family, self.sample_size()),
            _ if self.is_open_clip(part) => openclip::config(&self.local(part)?, self.drops_last_layer()),
            _ => clip::config(&self.local(part)?.rename(clip::key)?),
        };
        let origin = format!("{} ({part})", self.path.display());
        let config = config.ok_or_else(|| Error::corrupt(&origin, "its tensors do not have the shapes of the part"))?;
        Options::from_json(origin, config)
    }

    /// The tensors of a part, without its prefix.
    fn local(&self, part: Part) -> Result<Weights> {
        let prefix = self.prefixes(part).into_iter().find(|prefix| self.weights.has_under(prefix));
        let missing = || Error::MissingPart { path: self.path.clone(), what: format!("the part `{part}`") };
        Ok(self.weights.under(prefix.ok_or_else(missing)?))
    }

    fn prefixes(&self, part: Part) -> Vec<&'static str> {
        match (part, self.family) {
            (Part::Unet, _) => vec![UNET],
            (Part::Vae, _) => VAE.to_vec(),
            (Part::TextEncoder, Family::Sd1) => vec![CLIP],
            (Part::TextEncoder, Family::Sd2) => vec![OPEN_CLIP],
            (Part::TextEncoder, Family::SdXl) => vec![XL_CLIP],
            (Part::TextEncoder2, Family::SdXl) => vec![XL_OPEN_CLIP],
            (Part::TextEncoder2, Family::SdXlRefiner) => vec![REFINER_OPEN_CLIP],
            _ => vec![],
        }
    }

    fn is_open_clip(&self, part: Part) -> bool {
        part == Part::TextEncoder2 || self.family == Family::Sd2
    }

    /// Stable Diffusion 2 takes the last but one hidden layer; diffusers leaves the last one out of the model.
    fn drops_last_layer(&self) -> bool {
        self.family == Family::Sd2
    }

    fn training(&self) -> scheduler::Training {
        let marked = |name| self.weights.shape(name).is_some();
        scheduler::Training {
            inpainting: self.in_channels() == 9,
            v_prediction: marked(V_PREDICTION),
            zero_terminal_snr: marked(ZERO_TERMINAL_SNR),
            global_step: match self.family {
                Family::Sd2 => pickled_number(&self.path, "global_step"),
                _ => None,
            },
        }
    }

    /// Side of the pictures of the training, in pixels.
    fn sample_size(&self) -> usize {
        match self.family {
            Family::Sd1 => 512,
            Family::Sd2 if self.training().predicts_epsilon_in_sd2() => 512,
            Family::Sd2 => 768,
            Family::SdXl | Family::SdXlRefiner => 1024,
        }
    }

    /// Tensors that belong to no part, and that are not left over from the training either.
    fn strangers(&self) -> Vec<String> {
        let prefixes: Vec<_> = Part::ALL.into_iter().flat_map(|part| self.prefixes(part)).collect();
        let known = |name: &str| prefixes.iter().any(|p| name.starts_with(p)) || is_training_state(name);
        self.weights.names().filter(|name| !known(name)).map(str::to_owned).collect()
    }
}

/// The text encoders tell the families apart; in a file without them, the width of the context does.
fn family(weights: &Weights) -> Option<Family> {
    if weights.has_under(XL_OPEN_CLIP) || weights.has_under(XL_CLIP) {
        return Some(Family::SdXl);
    }
    if weights.has_under(REFINER_OPEN_CLIP) {
        return Some(Family::SdXlRefiner);
    }
    if weights.has_under(OPEN_CLIP) {
        return Some(Family::Sd2);
    }
    if weights.has_under(CLIP) {
        return Some(Family::Sd1);
    }
    match unet::context_dim(&weights.under(UNET))? {
        1024 => Some(Family::Sd2),
        1280 => Some(Family::SdXlRefiner),
        2048 => Some(Family::SdXl),
        _ => Some(Family::Sd1),
    }
}

fn foreign(path: &Path, weights: &Weights) -> Error {
    let first: Vec<_> = weights.names().take(3).collect();
    let detail = format!("not a Stable Diffusion checkpoint: its tensors are {}, ...", first.join(", "));
    Error::corrupt(path, detail)
}

/// What the training kept beside the weights: noise levels, the moving average of the weights, the scale of CLIP's
/// contrastive loss.
fn is_training_state(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "betas",
        "alphas_cumprod",
        "alphas_cumprod_prev",
        "log_one_minus_alphas_cumprod",
        "logvar",
        "lvlb_weights",
        "scale_factor",
        V_PREDICTION,
        ZERO_TERMINAL_SNR,
    ];
    const PREFIXES: [&str; 5] =
        ["model_ema.", "sqrt_", "posterior_", "denoiser.sigmas", "cond_stage_model.logit_scale"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// A dimension of a tensor's shape.
fn dim(weights: &Weights, name: &str, index: usize) -> Option<usize> {
    weights.shape(name)?.get(index).copied()
}

/// How many of `prefix.0.`, `prefix.1.`, ... there are.
fn count(weights: &Weights, prefix: &str) -> usize {
    (0..).take_while(|i| weights.has_under(&format!("{prefix}.{i}."))).count()
}

/// 64 channels a head, as in all of the family but Stable Diffusion 1's UNet.
fn heads(channels: usize) -> usize {
    (channels / 64).max(1)
}

/// 32 groups a norm, as in all of the family; in tiny models, as many as divide every number of channels.
fn norm_groups(channels: &[usize]) -> usize {
    channels.iter().fold(32, |groups, channels| greatest_common_divisor(groups, *channels))
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// A config, of which absent options are left out.
fn object(options: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let present = options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect())
}

#[cfg(test)]
mod tests;
