//! The shapes that a picture's networks give to the operations, with both halves of guidance in one batch. Sizes come from
//! the presets of the configs; every size is once in a list, under the model that has it first.

use std::fmt;

use t2i_text::ClipTextConfig;
use t2i_unet::{BlockType, UNetConfig};
use t2i_vae::AutoencoderKlConfig;

/// The prompt and its negative.
const BATCH: usize = 2;

/// Sizes under a name.
#[derive(Debug, Clone)]
pub(crate) struct Named<T> {
    model: &'static str,
    pub(crate) sizes: T,
}

/// A batch of pictures that a convolution takes to other channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pictures {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) outputs: usize,
    pub(crate) side: usize,
}

/// A batch of tokens that a linear layer takes to another width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tokens {
    pub(crate) batch: usize,
    pub(crate) tokens: usize,
    pub(crate) width: usize,
    pub(crate) outputs: usize,
}

/// Attention of a batch of tokens to a context.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Attention {
    pub(crate) batch: usize,
    pub(crate) tokens: usize,
    pub(crate) context: usize,
    pub(crate) heads: usize,
    pub(crate) width: usize,
    pub(crate) causal: bool,
}

/// One resolution of a UNet.
struct Level {
    model: &'static str,
    channels: usize,
    /// Channels of the next finer and the next coarser resolution, or its own.
    finer: usize,
    coarser: usize,
    side: usize,
    heads: Option<usize>,
    context: usize,
}

fn levels() -> Vec<Level> {
    let models =
        [("sd15_512", UNetConfig::sd15()), ("sd21_768", UNetConfig::sd21()), ("sdxl_1024", UNetConfig::sdxl())];
    models.iter().flat_map(|(model, config)| levels_of(model, config)).collect()
}

fn levels_of(model: &'static str, config: &UNetConfig) -> Vec<Level> {
    let [side, _] = config.sample_size.expect("a preset says it");
    let channels = &config.block_out_channels;
    let last = channels.len() - 1;
    let attends = |i: usize| i == last || config.down_block_types[i] == BlockType::CrossAttention;
    let level = |i: usize| Level {
        model,
        channels: channels[i],
        finer: channels[i.saturating_sub(1)],
        coarser: channels[(i + 1).min(last)],
        side: side >> i,
        heads: attends(i).then(|| config.heads[i]),
        context: config.cross_attention_dim,
    };
    (0..=last).map(level).collect()
}

/// The resolutions of the codec for a picture of 512 x 512, as channels and side.
fn codec_levels() -> Vec<(usize, usize)> {
    let config = AutoencoderKlConfig::sd();
    config.block_out_channels.iter().enumerate().map(|(i, channels)| (*channels, config.sample_size >> i)).collect()
}

/// Feature maps of every resolution, and what the skip connections make of them.
pub(crate) fn feature_maps() -> Vec<Named<Pictures>> {
    let mut list = Vec::new();
    for Level { model, channels, coarser, side, .. } in levels() {
        for channels in [channels, 2 * channels, coarser + channels] {
            add(&mut list, model, Pictures { batch: BATCH, channels, outputs: channels, side });
        }
    }
    for (channels, side) in codec_levels() {
        add(&mut list, "vae_512", Pictures { batch: 1, channels, outputs: channels, side });
    }
    list
}

/// Convolutions of 3 x 3 that keep the size.
pub(crate) fn convolutions() -> Vec<Named<Pictures>> {
    let mut list = Vec::new();
    for Level { model, channels, finer, coarser, side, .. } in levels() {
        for from in [finer, channels, 2 * channels, coarser + channels] {
            add(&mut list, model, Pictures { batch: BATCH, channels: from, outputs: channels, side });
        }
    }
    for (outputs, side) in codec_levels() {
        for channels in [outputs, 2 * outputs] {
            add(&mut list, "vae_512", Pictures { batch: 1, channels, outputs, side });
        }
    }
    list
}

/// Linear layers: projections of the latent and of the context, and the feed-forward network there and back.
pub(crate) fn projections() -> Vec<Named<Tokens>> {
    let mut list = Vec::new();
    for Level { model, channels, side, context, .. } in levels().into_iter().filter(|level| level.heads.is_some()) {
        let tokens = side * side;
        for (tokens, width, outputs) in [
            (tokens, channels, channels),
            (tokens, channels, 8 * channels),
            (tokens, 4 * channels, channels),
            (ClipTextConfig::clip_l().positions, context, channels),
        ] {
            add(&mut list, model, Tokens { batch: BATCH, tokens, width, outputs });
        }
    }
    for hidden in perceptrons() {
        let Tokens { tokens, width, outputs, .. } = hidden.sizes;
        for (width, outputs) in [(width, width), (width, outputs), (outputs, width)] {
            add(&mut list, "text", Tokens { batch: BATCH, tokens, width, outputs });
        }
    }
    list
}

/// The perceptrons of the text encoders: their width, and as `outputs` that between their layers.
pub(crate) fn perceptrons() -> Vec<Named<Tokens>> {
    let mut list = Vec::new();
    for config in text_encoders() {
        let (tokens, width, outputs) = (config.positions, config.hidden_size, config.intermediate_size);
        add(&mut list, "text", Tokens { batch: BATCH, tokens, width, outputs });
    }
    list
}

fn text_encoders() -> [ClipTextConfig; 3] {
    [ClipTextConfig::clip_l(), ClipTextConfig::open_clip_h(), ClipTextConfig::open_clip_bigg()]
}

/// Tokens of every transformer: what a layer norm sees, and as `outputs` what the gate of its network leaves.
pub(crate) fn tokens() -> Vec<Named<Tokens>> {
    let mut list = Vec::new();
    for Level { model, channels, side, .. } in levels().into_iter().filter(|level| level.heads.is_some()) {
        add(&mut list, model, Tokens { batch: BATCH, tokens: side * side, width: channels, outputs: 4 * channels });
    }
    list
}

/// Attention of the latent to itself and to the context, of the codec, and of the text encoders.
pub(crate) fn attentions() -> Vec<Named<Attention>> {
    let mut list = Vec::new();
    let positions = ClipTextConfig::clip_l().positions;
    for Level { model, channels, side, heads, .. } in levels() {
        let (Some(heads), tokens) = (heads, side * side) else {
            continue;
        };
        for context in [tokens, positions] {
            add(&mut list, model, Attention { batch: BATCH, tokens, context, heads, width: channels, causal: false });
        }
    }
    let (width, side) = *codec_levels().last().expect("several resolutions");
    let tokens = side * side;
    add(&mut list, "vae_512", Attention { batch: 1, tokens, context: tokens, heads: 1, width, causal: false });
    for config in text_encoders() {
        let (tokens, heads, width) = (config.positions, config.heads, config.hidden_size);
        add(&mut list, "text", Attention { batch: BATCH, tokens, context: tokens, heads, width, causal: true });
    }
    list
}

fn add<T: PartialEq>(list: &mut Vec<Named<T>>, model: &'static str, sizes: T) {
    if list.iter().all(|known| known.sizes != sizes) {
        list.push(Named { model, sizes });
    }
}

impl<T: fmt::Display> fmt::Display for Named<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.model, self.sizes)
    }
}

impl fmt::Display for Pictures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, channels, outputs, side } = self;
        match channels == outputs {
            true => write!(f, "{batch}x{channels}@{side}"),
            false => write!(f, "{batch}x{channels}-{outputs}@{side}"),
        }
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}-{}", self.batch, self.tokens, self.width, self.outputs)
    }
}

impl fmt::Display for Attention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, tokens, context, heads, width, .. } = self;
        write!(f, "{batch}x{heads}x{tokens}x{} to {context}", width / heads)
    }
}
