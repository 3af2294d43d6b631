//! Layers by their place in a walk through the model, as cloneofsimo's trainer wrote them.
//!
//! The walk is over the attentions and the gated layers of that day's diffusers, in the order in which PyTorch kept
//! them: the way down, the way up, and the middle, which was made last.
//! <https://github.com/cloneofsimo/lora/blob/master/lora_diffusion/lora.py>

use crate::Part;

/// Where the gated layer of a transformer block stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum GatedLayer {
    /// Between the two attentions, as in diffusers before 0.15.
    Between,
    /// After both.
    Last,
}

/// The layers of a transformer block.
pub(super) const LAYERS_OF_A_BLOCK: usize = 9;

/// The paths of the numbered layers, in the order of the numbers, out of all paths of a part.
pub(super) fn paths<'a>(part: Part, all: impl Iterator<Item = &'a str>, gated: GatedLayer) -> Vec<String> {
    match part {
        Part::Unet => unet(all, gated),
        _ => text_encoder(all),
    }
}

fn unet<'a>(all: impl Iterator<Item = &'a str>, gated: GatedLayer) -> Vec<String> {
    let mut blocks: Vec<_> = all.filter_map(|path| path.strip_suffix(".attn1.to_q")).collect();
    // The sort is stable: within each, the order of the walk stays.
    blocks.sort_by_key(|block| match block {
        down if down.starts_with("down_blocks") => 0,
        up if up.starts_with("up_blocks") => 1,
        _ => 2,
    });
    let attention = |block: &str, which: &str| {
        ["to_q", "to_k", "to_v", "to_out.0"].map(|layer| format!("{block}.{which}.{layer}")).to_vec()
    };
    let layers = |block: &str| {
        let (first, second) = (attention(block, "attn1"), attention(block, "attn2"));
        let proj = vec![format!("{block}.ff.net.0.proj")];
        match gated {
            GatedLayer::Between => [first, proj, second].concat(),
            GatedLayer::Last => [first, second, proj].concat(),
        }
    };
    blocks.into_iter().flat_map(layers).collect()
}

/// CLIP's attention makes its keys first. The walk through the model may come by its layers in another order.
fn text_encoder<'a>(all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let attentions = all.filter_map(|path| path.strip_suffix(".q_proj"));
    let layers = |path: &str| ["k_proj", "v_proj", "q_proj", "out_proj"].map(|layer| format!("{path}.{layer}"));
    attentions.flat_map(layers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_comes_last() {
        let all = ["down_blocks.0.b.attn1.to_q", "mid_block.b.attn1.to_q", "up_blocks.1.b.attn1.to_q"];
        let paths = paths(Part::Unet, all.into_iter(), GatedLayer::Between);
        assert_eq!(paths.len(), 3 * LAYERS_OF_A_BLOCK);
        assert_eq!(paths[3], "down_blocks.0.b.attn1.to_out.0");
        assert_eq!(paths[4], "down_blocks.0.b.ff.net.0.proj");
        assert_eq!(paths[9], "up_blocks.1.b.attn1.to_q");
        assert_eq!(paths[26], "mid_block.b.attn2.to_out.0");
    }

    #[test]
    fn keys_come_first_in_text_encoders() {
        let all = ["text_model.encoder.layers.0.self_attn.q_proj", "text_model.encoder.layers.0.mlp.fc1"];
        let paths = paths(Part::TextEncoder, all.into_iter(), GatedLayer::Last);
        assert_eq!(paths[0], "text_model.encoder.layers.0.self_attn.k_proj");
        assert_eq!(paths.len(), 4);
    }
}
