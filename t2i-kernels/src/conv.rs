//! Convolutions of pictures `[batch, channels, height, width]`.

mod implicit;
mod layer;
mod shape;
mod winograd;

pub use self::{layer::Conv2d, shape::Window};
