//! Image codecs for latent diffusion: AutoencoderKL and AutoencoderTiny.
