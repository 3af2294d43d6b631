//! The parts of a pipeline.

use std::fmt;

/// One part of a pipeline: a folder of a diffusers checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Part {
    /// CLIP-L, or OpenCLIP-H in Stable Diffusion 2.
    TextEncoder,
    /// OpenCLIP-bigG of XL.
    TextEncoder2,
    /// The network that denoises.
    Unet,
    /// The image codec.
    Vae,
    /// How the model was trained, and how it is sampled unless one says otherwise. Config only.
    Scheduler,
    /// The vocabulary of [`TextEncoder`](Self::TextEncoder). Config and vocabulary only.
    Tokenizer,
    /// The vocabulary of [`TextEncoder2`](Self::TextEncoder2). Config and vocabulary only.
    Tokenizer2,
}

impl Part {
    /// Every part that a checkpoint can have.
    pub const ALL: [Self; 7] = [
        Self::TextEncoder,
        Self::TextEncoder2,
        Self::Unet,
        Self::Vae,
        Self::Scheduler,
        Self::Tokenizer,
        Self::Tokenizer2,
    ];

    /// The name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
            Self::Unet => "unet",
            Self::Vae => "vae",
            Self::Scheduler => "scheduler",
            Self::Tokenizer => "tokenizer",
            Self::Tokenizer2 => "tokenizer_2",
        }
    }

    /// Whether it is a network.
    pub fn has_weights(self) -> bool {
        matches!(self, Self::TextEncoder | Self::TextEncoder2 | Self::Unet | Self::Vae)
    }

    pub(super) fn config_file(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler_config.json",
            Self::Tokenizer | Self::Tokenizer2 => "tokenizer_config.json",
            _ => "config.json",
        }
    }

    /// The names of its weight files without variant, shard and extension: (safetensors, PyTorch's).
    pub(super) fn weight_stems(self) -> (&'static str, &'static str) {
        match self {
            Self::TextEncoder | Self::TextEncoder2 => ("model", "pytorch_model"),
            _ => ("diffusion_pytorch_model", "diffusion_pytorch_model"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
