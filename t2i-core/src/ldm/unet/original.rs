//! The way back: from diffusers' names of layers to the original ones. How the blocks are laid out, the model says.

/// How many layers each level has, and where it has more than residual layers.
#[derive(Debug, PartialEq)]
pub(crate) struct ModelLayout {
    down: Vec<Level>,
    up: Vec<Level>,
    middle_attends: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Level {
    resnets: usize,
    resamples: bool,
    attends: bool,
}

impl ModelLayout {
    /// The layout of a model with layers at these paths.
    pub(crate) fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut layout = Self { down: Vec::new(), up: Vec::new(), middle_attends: false };
        for path in paths {
            match path.split('.').collect::<Vec<_>>().as_slice() {
                ["down_blocks", level, rest @ ..] => see(&mut layout.down, level, rest),
                ["up_blocks", level, rest @ ..] => see(&mut layout.up, level, rest),
                ["mid_block", "attentions", ..] => layout.middle_attends = true,
                _ => {}
            }
        }
        layout
    }

    /// The original block of a layer on the way down; block 0 is the first convolution.
    fn input(&self, level: usize, layer: usize) -> usize {
        let before = self.down[..level].iter().map(|level| level.resnets + usize::from(level.resamples));
        1 + before.sum::<usize>() + layer
    }

    fn output(&self, level: usize, layer: usize) -> usize {
        self.up[..level].iter().map(|level| level.resnets).sum::<usize>() + layer
    }
}

fn see(levels: &mut Vec<Level>, level: &str, rest: &[&str]) {
    let Ok(level) = level.parse::<usize>() else {
        return;
    };
    if levels.len() <= level {
        levels.resize(level + 1, Level::default());
    }
    match rest {
        ["resnets", layer, ..] => {
            let layers = layer.parse::<usize>().map_or(0, |layer| layer + 1);
            levels[level].resnets = levels[level].resnets.max(layers);
        }
        ["attentions", ..] => levels[level].attends = true,
        ["downsamplers" | "upsamplers", ..] => levels[level].resamples = true,
        _ => {}
    }
}

/// The original path of the layer that diffusers calls `path`.
pub(crate) fn original(path: &str, layout: &ModelLayout) -> Option<String> {
    let parts: Vec<_> = path.split('.').collect();
    Some(match parts.as_slice() {
        ["conv_in"] => "input_blocks.0.0".to_owned(),
        ["conv_out"] => "out.2".to_owned(),
        ["time_embedding", layer] => format!("time_embed.{}", embedding(layer)?),
        ["add_embedding", layer] => format!("label_emb.0.{}", embedding(layer)?),
        ["down_blocks", level, rest @ ..] => down(layout, level.parse().ok()?, rest)?,
        ["mid_block", rest @ ..] => middle(layout, rest)?,
        ["up_blocks", level, rest @ ..] => up(layout, level.parse().ok()?, rest)?,
        _ => return None,
    })
}

fn embedding(layer: &str) -> Option<&'static str> {
    match layer {
        "linear_1" => Some("0"),
        "linear_2" => Some("2"),
        "cond_proj" => Some("cond_proj"),
        _ => None,
    }
}

fn down(layout: &ModelLayout, level: usize, rest: &[&str]) -> Option<String> {
    let block = |layer: &str| Some(layout.input(level, layer.parse().ok()?));
    Some(match rest {
        ["resnets", layer, inner] => format!("input_blocks.{}.0.{}", block(layer)?, resnet(inner)?),
        ["attentions", layer, inner @ ..] => format!("input_blocks.{}.1.{}", block(layer)?, inner.join(".")),
        ["downsamplers", "0", "conv"] => {
            format!("input_blocks.{}.0.op", layout.input(level, layout.down[level].resnets))
        }
        _ => return None,
    })
}

fn middle(layout: &ModelLayout, rest: &[&str]) -> Option<String> {
    Some(match rest {
        ["resnets", "0", inner] => format!("middle_block.0.{}", resnet(inner)?),
        ["resnets", "1", inner] => {
            format!("middle_block.{}.{}", 1 + usize::from(layout.middle_attends), resnet(inner)?)
        }
        ["attentions", "0", inner @ ..] => format!("middle_block.1.{}", inner.join(".")),
        _ => return None,
    })
}

fn up(layout: &ModelLayout, level: usize, rest: &[&str]) -> Option<String> {
    let block = |layer: &str| Some(layout.output(level, layer.parse().ok()?));
    Some(match rest {
        ["resnets", layer, inner] => format!("output_blocks.{}.0.{}", block(layer)?, resnet(inner)?),
        ["attentions", layer, inner @ ..] => format!("output_blocks.{}.1.{}", block(layer)?, inner.join(".")),
        ["upsamplers", "0", "conv"] => {
            let last = layout.output(level, layout.up[level].resnets.checked_sub(1)?);
            format!("output_blocks.{last}.{}.conv", 1 + usize::from(layout.up[level].attends))
        }
        _ => return None,
    })
}

fn resnet(layer: &str) -> Option<&'static str> {
    Some(match layer {
        "conv1" => "in_layers.2",
        "time_emb_proj" => "emb_layers.1",
        "conv2" => "out_layers.3",
        "conv_shortcut" => "skip_connection",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_layers_become_blocks() {
        let paths = [
            "down_blocks.0.resnets.1.conv1",
            "down_blocks.0.downsamplers.0.conv",
            "down_blocks.1.resnets.1.conv1",
            "down_blocks.1.attentions.1.proj_in",
            "mid_block.attentions.0.proj_in",
            "up_blocks.0.resnets.2.conv1",
            "up_blocks.0.attentions.0.proj_in",
            "up_blocks.0.upsamplers.0.conv",
            "up_blocks.1.resnets.2.conv1",
        ];
        let layout = ModelLayout::of(paths.into_iter());
        let name = |path| original(path, &layout).expect("a layer");
        assert_eq!(name("conv_in"), "input_blocks.0.0");
        assert_eq!(name("down_blocks.0.resnets.1.conv1"), "input_blocks.2.0.in_layers.2");
        assert_eq!(name("down_blocks.0.downsamplers.0.conv"), "input_blocks.3.0.op");
        assert_eq!(name("down_blocks.1.attentions.0.proj_in"), "input_blocks.4.1.proj_in");
        assert_eq!(name("mid_block.attentions.0.proj_in"), "middle_block.1.proj_in");
        assert_eq!(name("mid_block.resnets.1.time_emb_proj"), "middle_block.2.emb_layers.1");
        assert_eq!(name("up_blocks.0.upsamplers.0.conv"), "output_blocks.2.2.conv");
        assert_eq!(name("up_blocks.1.resnets.2.conv_shortcut"), "output_blocks.5.0.skip_connection");
        assert_eq!(name("time_embedding.linear_2"), "time_embed.2");
        assert_eq!(name("add_embedding.linear_1"), "label_emb.0.0");
        assert_eq!(original("up_blocks.1.resnets.2.norm1", &layout), None);
    }
}
