//! Convolutions of pictures `[batch, channels, height, width]`.

mod winograd;

pub use self::winograd::Winograd;
