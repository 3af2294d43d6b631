//! What training makes small.
//!
//! | trained | loss |
//! |---|---|
//! | UNet, text encoder, adapters, embeddings | [`DiffusionLoss`]: the squared error of the prediction, weighted by its level |
//! | codec | [`CodecLoss`]: the absolute error of pixels and of edges; and how far the latents are from unit variance |

mod codec;
mod diffusion;
mod weighting;

pub use codec::{CodecLoss, divergence, spread};
pub use diffusion::DiffusionLoss;
pub use weighting::Weighting;
