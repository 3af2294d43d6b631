//! What every t2i crate shares and what touches the outside: weights, configs, errors and images.
//!
//! | question | answer |
//! |---|---|
//! | what went wrong, and whose fault is it | [`Error`] |
//! | what is in that folder or file | [`Checkpoint`], [`inspect()`] |
//! | what does a `config.json` say | [`Options`] |
//! | where is the tensor of that name | [`Weights`] |
//! | what was learned on top of a model | [`Lora`], [`LearnedEmbedding`] |
//! | what do several networks compute | [`nn`] |
//! | how do pictures become tensors, and tensors pictures | [`read_image`], [`read_mask`], [`write_png`] |
//! | how do I look at tensors elsewhere | [`write_tensors`], [`read_tensor`] |

mod checkpoint;
mod embedding;
mod error;
mod files;
mod image;
mod inspect;
mod ldm;
mod lora;
mod nearest;
pub mod nn;
mod options;
mod tensors;
mod weights;

pub use checkpoint::{Checkpoint, Family, Part};
pub use embedding::{LearnedEmbedding, LearnedVectors};
pub use error::{Error, Result};
pub use image::{read_image, read_image_resized, read_mask, read_mask_resized, write_png};
pub use inspect::{PartReport, Report, inspect};
pub use lora::{Lora, LoraFormat, LoraLayer, layers, with_changes};
pub use nearest::nearest;
pub use options::Options;
pub use tensors::{read_tensor, write_tensors};
pub use weights::Weights;
