//! How many transformer blocks stand where.
//!
//! A config says it once, once a block, or once a layer of a block, and separately for the way up where that is not
//! the way down in reverse.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use t2i_core::{Options, Result};

use super::check::MAX_LAYERS;
use super::read::per_block;

/// The numbers of transformer blocks.
pub(super) struct Depths {
    pub(super) down: Vec<Vec<usize>>,
    pub(super) mid: usize,
    pub(super) up: Vec<Vec<usize>>,
}

/// The numbers of transformer blocks of one block's layers.
#[derive(Deserialize, Serialize, Clone)]
#[serde(untagged, expecting = "numbers, or lists with one a layer")]
enum Depth {
    Same(usize),
    Each(Vec<usize>),
}

const DOWN: &str = "transformer_layers_per_block";
const UP: &str = "reverse_transformer_layers_per_block";

impl Depths {
    /// Reads both options, given the layers of each block.
    pub(super) fn read(o: &mut Options, layers: &[usize]) -> Result<Self> {
        let down = per_block(o, DOWN, Depth::Same(1), layers.len())?;
        let up = match o.peek(UP) {
            None | Some(Value::Null) => reversed(o, &down)?,
            Some(_) => per_block(o, UP, Depth::Same(1), layers.len())?,
        };
        let up_layers: Vec<_> = layers.iter().rev().map(|layers| layers + 1).collect();
        let down = each_layer(o, DOWN, &down, layers)?;
        // The middle goes by the last block's first layer.
        let mid = down.last().and_then(|block| block.first().copied()).unwrap_or(1);
        let up = each_layer(o, UP, &up, &up_layers)?;
        Ok(Self { down, mid, up })
    }
}

/// The way down in reverse, which has no meaning for lists of layers: the way up has one layer more.
fn reversed(o: &mut Options, down: &[Depth]) -> Result<Vec<Depth>> {
    o.only(UP, &[Value::Null])?;
    match down.iter().find(|depth| matches!(depth, Depth::Each(_))) {
        None => Ok(down.iter().rev().cloned().collect()),
        Some(list) => Err(o.unsupported(DOWN, &json!(list), &format!("one number a block, as `{UP}` is absent"))),
    }
}

impl Depth {
    /// The depth of each layer; of a longer list the rest has no meaning, as in diffusers.
    fn layers(&self, layers: usize) -> Option<Vec<usize>> {
        match self {
            Self::Same(depth) => Some(vec![*depth; layers]),
            Self::Each(depths) => depths.get(..layers).map(<[_]>::to_vec),
        }
    }
}

fn each_layer(o: &Options, option: &str, depths: &[Depth], layers: &[usize]) -> Result<Vec<Vec<usize>>> {
    let sensible = |depths: &Vec<usize>| depths.iter().all(|depth| *depth <= MAX_LAYERS);
    let one = |(depth, layers): (&Depth, &usize)| {
        let expected = format!("a number up to 64, or a list with one for each of {layers} layers");
        depth.layers(*layers).filter(sensible).ok_or_else(|| o.unsupported(option, &json!(depth), &expected))
    };
    depths.iter().zip(layers).map(one).collect()
}
