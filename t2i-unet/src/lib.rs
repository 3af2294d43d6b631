//! The conditional UNet of Stable Diffusion on Burn.
