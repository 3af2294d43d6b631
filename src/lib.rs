//! Text-to-image in Rust, on any device.
