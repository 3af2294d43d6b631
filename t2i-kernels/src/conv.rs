//! Convolutions of pictures `[batch, channels, height, width]`.

mod gradient;
mod implicit;
mod layer;
mod shape;
#[cfg(test)]
mod tests;
mod winograd;

pub use self::{gradient::conv3x3_weight_gradient, layer::Conv2d, shape::Window};
