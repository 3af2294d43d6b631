//! Group and layer normalisation, and their gradients.
//!
//! [Group norm](https://arxiv.org/abs/1803.08494), [layer norm](https://arxiv.org/abs/1607.06450). The statistics
//! are right for numbers that are large against how far they spread; x is read twice.

mod group;
mod group_gradient;
mod layer;
mod moments;
#[cfg(test)]
mod tests;

pub use self::{
    group::{group_norm, group_norm_silu},
    group_gradient::{group_norm_backward, group_norm_silu_backward},
    layer::{layer_norm, layer_norm_backward},
};

/// The gradients of the weights of a normalisation.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// `[channels]`, or `[n]` for a layer norm.
    pub gamma: Vec<f32>,
    /// As gamma.
    pub beta: Vec<f32>,
}
