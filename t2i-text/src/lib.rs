//! CLIP tokenizer and text encoders for text-to-image models.
//!
//! | question | answer |
//! |---|---|
//! | which token ids does a prompt have | [`Tokenizer`] |
//! | which encoder does a `config.json` describe | [`ClipTextConfig`] |
//! | what does the encoder make of token ids | [`ClipTextModel`], giving a [`TextOutput`] |
//!
//! The encoder gives every hidden state. Which of them conditions the image is a fact of the model family:
//! Stable Diffusion 1 and 2 read [`TextOutput::last_hidden_state`], Stable Diffusion XL reads
//! [`TextOutput::penultimate`] of both of its encoders and [`TextOutput::text_embeds`] of the second.
//!
//! Deliberately absent: padding masks. The reference pipelines let the encoder attend to padding, so the tokens
//! that a prompt is padded with are part of the model.

mod clip;
mod tokenizer;

pub use clip::{Activation, ClipTextConfig, ClipTextModel, EndToken, TextOutput};
pub use tokenizer::{Tokenizer, byte_token};
