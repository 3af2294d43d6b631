//! What the options of one config must be to each other.

use serde::Serialize;
use serde_json::json;
use t2i_core::{Options, Result};

use super::{BlockType, MidBlockType, UNetConfig};

/// Beyond any network of the family; a larger number is a mistake that would fill the memory.
pub(super) const MAX_WIDTH: usize = 1 << 16;
/// Beyond any network of the family, as residual layers of a block or transformer blocks of a layer.
pub(super) const MAX_LAYERS: usize = 64;
const MAX_KERNEL: usize = 31;

impl UNetConfig {
    /// Refuses what does not fit together, naming the first option that is wrong.
    pub(super) fn check(&self, o: &Options) -> Result<()> {
        self.check_widths(o)?;
        self.check_numbers(o)?;
        let blocks = self.block_out_channels.len();
        let lists = [("down_block_types", &self.down_block_types), ("up_block_types", &self.up_block_types)];
        for (option, types) in lists {
            let expected = format!("a list of {blocks}, one for each of `block_out_channels`");
            ensure(o, types.len() == blocks, option, format!("a list of {}", types.len()), &expected)?;
        }
        let heads = "the number of heads, a divisor of the block's `block_out_channels`";
        ensure(o, self.heads_divide_channels(), "attention_head_dim", &self.heads, heads)
    }

    fn check_widths(&self, o: &Options) -> Result<()> {
        let channels = &self.block_out_channels;
        let sensible = !channels.is_empty() && channels.iter().all(|width| is_width(*width));
        ensure(o, sensible, "block_out_channels", channels, "a list of widths")?;
        let widths = [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("cross_attention_dim", self.cross_attention_dim),
        ];
        for (option, width) in widths {
            ensure(o, is_width(width), option, width, "a width")?;
        }
        let fits = channels.iter().all(|width| width.is_multiple_of(self.norm_num_groups));
        let expected = "a divisor of every number in `block_out_channels`";
        ensure(o, fits, "norm_num_groups", self.norm_num_groups, expected)
    }

    fn check_numbers(&self, o: &Options) -> Result<()> {
        let scale = self.mid_block_scale_factor;
        ensure(o, scale != 0.0, "mid_block_scale_factor", scale, "another number than zero")?;
        ensure(o, self.norm_eps >= 0.0, "norm_eps", self.norm_eps, "zero or more")?;
        ensure(o, self.downsample_padding <= 1, "downsample_padding", self.downsample_padding, "0 or 1")?;
        for (option, kernel) in [("conv_in_kernel", self.conv_in_kernel), ("conv_out_kernel", self.conv_out_kernel)] {
            ensure(o, kernel % 2 == 1 && kernel <= MAX_KERNEL, option, kernel, "an odd number up to 31")?;
        }
        let frequencies = (self.block_out_channels[0] / 2) as f64;
        let expected = "less than half of the first block's `block_out_channels`";
        ensure(o, self.freq_shift < frequencies, "freq_shift", self.freq_shift, expected)
    }

    /// Whether the heads of every block that has attention share its channels evenly.
    fn heads_divide_channels(&self) -> bool {
        let blocks = self.block_out_channels.len();
        let attends = |level: usize| {
            self.down_block_types[level] == BlockType::CrossAttention
                || self.up_block_types[blocks - 1 - level] == BlockType::CrossAttention
                || (level == blocks - 1 && self.mid_block_type == Some(MidBlockType::CrossAttention))
        };
        let fits = |level: usize| self.block_out_channels[level].is_multiple_of(self.heads[level]);
        (0..blocks).all(|level| !attends(level) || fits(level))
    }
}

pub(super) fn is_width(width: usize) -> bool {
    (1..=MAX_WIDTH).contains(&width)
}

fn ensure(o: &Options, holds: bool, option: &str, value: impl Serialize, expected: &str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(o.unsupported(option, &json!(value), expected))
}
