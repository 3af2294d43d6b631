//! OpenCLIP's text encoder, as Stable Diffusion 2 (H) and XL (bigG) hold it.
//!
//! <https://github.com/mlfoundations/open_clip/blob/main/src/open_clip/transformer.py>

use serde_json::{Value, json};

use super::{count, dim, heads, object};
use crate::weights::Entry;
use crate::{Error, Result, Weights};

/// Where a tensor goes.
#[derive(Debug, PartialEq)]
enum Target {
    Is(String),
    /// OpenCLIP multiplies by this from the right.
    Transposed(String),
    /// Query, key and value in one, one below the other.
    Rows([String; 3]),
    /// What compares texts with pictures, and a mask that every causal encoder has.
    Dropped,
}

/// The tensors under transformers' names. `without_last` leaves out the last layer, and the projection that only
/// its output would go through.
pub(super) fn weights(weights: Weights, without_last: bool) -> Result<Weights> {
    let origin = weights.origin().to_owned();
    let last = count(&weights, LAYERS).checked_sub(1).filter(|_| without_last);
    weights.replace(|name, entry| match target(name, last) {
        Some(target) => place(target, &entry).ok_or_else(|| misshapen(&origin, name, &entry)),
        None => Ok(vec![(name.to_owned(), entry)]),
    })
}

const LAYERS: &str = "transformer.resblocks";

/// From OpenCLIP's name to transformers'; `last` is a layer to leave out.
fn target(ldm: &str, last: Option<usize>) -> Option<Target> {
    let parts: Vec<_> = ldm.split('.').collect();
    Some(match parts.as_slice() {
        ["logit_scale"] | ["attn_mask"] => Target::Dropped,
        ["text_projection"] if last.is_some() => Target::Dropped,
        ["text_projection"] => Target::Transposed("text_projection.weight".to_owned()),
        ["positional_embedding"] => Target::Is("text_model.embeddings.position_embedding.weight".to_owned()),
        ["token_embedding", p] => Target::Is(format!("text_model.embeddings.token_embedding.{p}")),
        ["ln_final", p] => Target::Is(format!("text_model.final_layer_norm.{p}")),
        ["transformer", "resblocks", n, ..] if last.is_some_and(|last| *n == last.to_string()) => Target::Dropped,
        ["transformer", "resblocks", n, rest @ ..] => layer(&format!("text_model.encoder.layers.{n}"), rest)?,
        _ => return None,
    })
}

fn layer(to: &str, rest: &[&str]) -> Option<Target> {
    Some(match rest {
        ["ln_1", p] => Target::Is(format!("{to}.layer_norm1.{p}")),
        ["ln_2", p] => Target::Is(format!("{to}.layer_norm2.{p}")),
        ["mlp", "c_fc", p] => Target::Is(format!("{to}.mlp.fc1.{p}")),
        ["mlp", "c_proj", p] => Target::Is(format!("{to}.mlp.fc2.{p}")),
        ["attn", "out_proj", p] => Target::Is(format!("{to}.self_attn.out_proj.{p}")),
        ["attn", fused] => {
            let p = fused.strip_prefix("in_proj_")?;
            Target::Rows(["q", "k", "v"].map(|which| format!("{to}.self_attn.{which}_proj.{p}")))
        }
        _ => return None,
    })
}

/// `None` if the tensor cannot be cut or turned so.
fn place(target: Target, entry: &Entry) -> Option<Vec<(String, Entry)>> {
    match target {
        Target::Dropped => Some(vec![]),
        Target::Is(name) => Some(vec![(name, entry.clone())]),
        Target::Transposed(name) => Some(vec![(name, entry.transposed()?)]),
        Target::Rows(names) => names.into_iter().enumerate().map(|(i, name)| Some((name, entry.rows(i, 3)?))).collect(),
    }
}

fn misshapen(origin: &str, name: &str, entry: &Entry) -> Error {
    Error::corrupt(origin, format!("tensor `{name}` has the shape {:?}, which OpenCLIP never has", entry.shape))
}

/// The width of the pooled vector.
pub(super) fn projection(weights: &Weights) -> Option<usize> {
    dim(weights, "text_projection", 1)
}

pub(super) fn config(weights: &Weights, without_last: bool) -> Option<Value> {
    let hidden = dim(weights, "token_embedding.weight", 1)?;
    let layers = count(weights, LAYERS).checked_sub(without_last.into())?;
    let projection = projection(weights).filter(|_| !without_last);
    let class = if projection.is_some() { "CLIPTextModelWithProjection" } else { "CLIPTextModel" };
    Some(object([
        ("architectures", Some(json!([class]))),
        ("model_type", Some(json!("clip_text_model"))),
        ("bos_token_id", Some(json!(0))),
        ("eos_token_id", Some(json!(2))),
        ("hidden_act", Some(json!("gelu"))),
        ("hidden_size", Some(json!(hidden))),
        ("intermediate_size", Some(json!(dim(weights, "transformer.resblocks.0.mlp.c_fc.weight", 0)?))),
        ("layer_norm_eps", Some(json!(1e-5))),
        ("max_position_embeddings", Some(json!(dim(weights, "positional_embedding", 0)?))),
        ("num_attention_heads", Some(json!(heads(hidden)))),
        ("num_hidden_layers", Some(json!(layers))),
        ("pad_token_id", Some(json!(1))),
        ("projection_dim", projection.map(|dim| json!(dim))),
        ("vocab_size", Some(json!(dim(weights, "token_embedding.weight", 0)?))),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    fn values(range: std::ops::Range<u8>, shape: [usize; 2]) -> TensorData {
        TensorData::new(range.map(f32::from).collect::<Vec<_>>(), shape)
    }

    #[test]
    fn the_fused_projection_is_cut_and_the_last_one_turned() {
        let weights = Weights::from_data(
            "test",
            [
                ("transformer.resblocks.0.attn.in_proj_weight".to_owned(), values(0..12, [6, 2])),
                ("text_projection".to_owned(), values(0..6, [2, 3])),
                ("logit_scale".to_owned(), values(0..1, [1, 1])),
            ],
        );
        let weights = super::weights(weights.expect("three names"), false).expect("good shapes");
        assert_eq!(weights.len(), 4);
        let part = |which: &str| {
            let name = format!("text_model.encoder.layers.0.self_attn.{which}_proj.weight");
            weights.read(&name).expect("present")
        };
        assert_eq!(part("q"), TensorData::from([[0f32, 1.], [2., 3.]]));
        assert_eq!(part("k"), TensorData::from([[4f32, 5.], [6., 7.]]));
        assert_eq!(part("v"), TensorData::from([[8f32, 9.], [10., 11.]]));
        let projection = weights.read("text_projection.weight").expect("present");
        assert_eq!(projection, TensorData::from([[0f32, 3.], [1., 4.], [2., 5.]]));
    }

    #[test]
    fn the_last_layer_goes_where_it_is_not_used() {
        assert_eq!(target("transformer.resblocks.23.ln_1.weight", Some(23)), Some(Target::Dropped));
        assert_eq!(target("text_projection", Some(23)), Some(Target::Dropped));
        assert_ne!(target("transformer.resblocks.2.ln_1.weight", Some(23)), Some(Target::Dropped));
    }

    #[test]
    fn what_does_not_divide_in_three_is_corrupt() {
        let name = "transformer.resblocks.0.attn.in_proj_bias".to_owned();
        let weights = Weights::from_data("test", [(name, TensorData::from([1f32, 2.]))]);
        let error = super::weights(weights.expect("one name"), false).expect_err("two rows");
        assert!(error.to_string().contains("in_proj_bias"), "{error}");
    }
}
