//! CLIP tokenizer and text encoders for text-to-image models.
