//! Which layers stand where: from the config of the network to the configs of its blocks.

use crate::blocks::{DownBlockConfig, MidBlockConfig, UpBlockConfig};
use crate::config::{BlockType, MidBlockType, UNetConfig};
use crate::resnet::ResnetConfig;
use crate::sampling::{DownsampleConfig, UpsampleConfig};
use crate::transformer::TransformerConfig;

impl UNetConfig {
    /// Width of the embedding that every residual layer gets.
    pub(crate) fn time_dim(&self) -> usize {
        self.time_embedding_dim.unwrap_or(4 * self.block_out_channels[0])
    }

    /// The blocks on the way down. All but the last halve height and width.
    pub(crate) fn down_blocks(&self) -> Vec<DownBlockConfig> {
        (0..self.blocks()).map(|level| self.down_block(level)).collect()
    }

    /// The block in the middle, if there is one.
    pub(crate) fn mid_block(&self) -> Option<MidBlockConfig> {
        let level = self.blocks() - 1;
        let channels = self.block_out_channels[level];
        let resnet =
            ResnetConfig { output_scale_factor: self.mid_block_scale_factor, ..self.resnet(channels, channels) };
        // Its first attention is always of the latent to itself, whatever `only_cross_attention` says.
        let attention =
            TransformerConfig { only_cross_attention: false, ..self.transformer(level, self.mid_transformer_layers) };
        self.mid_block_type.map(|kind| match kind {
            MidBlockType::Plain => MidBlockConfig { resnets: vec![resnet], attentions: vec![] },
            MidBlockType::CrossAttention => {
                MidBlockConfig { resnets: vec![resnet.clone(), resnet], attentions: vec![attention] }
            }
        })
    }

    /// The blocks on the way up. All but the last double height and width.
    pub(crate) fn up_blocks(&self) -> Vec<UpBlockConfig> {
        (0..self.blocks()).map(|index| self.up_block(index)).collect()
    }

    fn blocks(&self) -> usize {
        self.block_out_channels.len()
    }

    fn down_block(&self, level: usize) -> DownBlockConfig {
        let channels = self.block_out_channels[level];
        let channels_in = self.block_out_channels[level.saturating_sub(1)];
        let layers = self.layers_per_block[level];
        let resnet = |layer| self.resnet(if layer == 0 { channels_in } else { channels }, channels);
        let depths = &self.transformer_layers_per_block[level];
        let is_last = level + 1 == self.blocks();
        DownBlockConfig {
            resnets: (0..layers).map(resnet).collect(),
            attentions: self.transformers(self.down_block_types[level], level, depths),
            downsample: (!is_last).then_some(DownsampleConfig { channels, padding: self.downsample_padding }),
        }
    }

    /// The block number `index` on the way up, and so of the level `index` from the end. Every layer takes the
    /// output of a layer on the way down beside its input: the last one that of the level before, the others that
    /// of their own level.
    fn up_block(&self, index: usize) -> UpBlockConfig {
        let level = self.blocks() - 1 - index;
        let channels = self.block_out_channels[level];
        let channels_in = self.block_out_channels[(level + 1).min(self.blocks() - 1)];
        let last_skip = self.block_out_channels[level.saturating_sub(1)];
        let layers = self.layers_per_block[level] + 1;
        let resnet = |layer| {
            let x = if layer == 0 { channels_in } else { channels };
            let skip = if layer + 1 == layers { last_skip } else { channels };
            self.resnet(x + skip, channels)
        };
        let depths = &self.reverse_transformer_layers_per_block[index];
        UpBlockConfig {
            resnets: (0..layers).map(resnet).collect(),
            attentions: self.transformers(self.up_block_types[index], level, depths),
            upsample: (level > 0).then_some(UpsampleConfig { channels }),
        }
    }

    fn resnet(&self, channels_in: usize, channels_out: usize) -> ResnetConfig {
        ResnetConfig {
            channels_in,
            channels_out,
            time_dim: self.time_dim(),
            groups: self.norm_num_groups,
            eps: self.norm_eps,
            act: self.act_fn,
            time_scale_shift: self.resnet_time_scale_shift,
            output_scale_factor: 1.0,
        }
    }

    fn transformers(&self, kind: BlockType, level: usize, depths: &[usize]) -> Vec<TransformerConfig> {
        match kind {
            BlockType::Plain => vec![],
            BlockType::CrossAttention => depths.iter().map(|depth| self.transformer(level, *depth)).collect(),
        }
    }

    fn transformer(&self, level: usize, depth: usize) -> TransformerConfig {
        TransformerConfig {
            channels: self.block_out_channels[level],
            context_dim: self.cross_attention_dim,
            heads: self.heads[level],
            depth,
            groups: self.norm_num_groups,
            only_cross_attention: self.only_cross_attention[level],
            upcast_attention: self.upcast_attention,
        }
    }
}
