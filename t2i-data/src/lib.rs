//! Captioned pictures for training.
