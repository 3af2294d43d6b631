//! What was learned on top of a checkpoint: words and LoRAs.

use std::mem;
use std::path::Path;

use t2i_core::{LearnedEmbedding, Lora, Part, Result};

use super::Pipeline;
use crate::prompt::TextEncoder;

impl Pipeline {
    /// Teaches the text encoder a word from a file that textual inversion wrote: `learned_embeds.safetensors` or
    /// `.bin` of diffusers, `.pt` or `.safetensors` of A1111 and kohya's scripts, or one for both encoders of XL. In
    /// prompts it is `token`, or what the file calls it. diffusers' `load_textual_inversion`.
    ///
    /// # Errors
    /// If the file cannot be read or holds no learned word; if the word exists already; if its vectors are not as wide
    /// as the encoder's. The pipeline then stays as it was.
    pub fn load_embedding(&mut self, path: impl AsRef<Path>, token: Option<&str>) -> Result<()> {
        self.add_embedding(&LearnedEmbedding::open(path, token)?)
    }

    /// As [`load_embedding`](Self::load_embedding), with what has been read already.
    ///
    /// # Errors
    /// As [`load_embedding`](Self::load_embedding).
    pub fn add_embedding(&mut self, embedding: &LearnedEmbedding) -> Result<()> {
        self.prompter.learn(embedding)
    }

    /// Adds a LoRA, `strength` times, to the weights: a file of diffusers, PEFT, A1111 and kohya's scripts, ComfyUI or
    /// cloneofsimo's trainer. Words that were learned with it come along. Several files add up, in any order.
    /// diffusers' `load_lora_weights` with `fuse_lora`.
    ///
    /// # Errors
    /// If the file cannot be read or is of another method; if a tensor has no counterpart in the model, or another
    /// shape; if `strength` is no finite number. The pipeline then stays as it was.
    pub fn load_lora(&mut self, path: impl AsRef<Path>, strength: f64) -> Result<()> {
        self.add_lora(&Lora::open(path)?, strength)
    }

    /// As [`load_lora`](Self::load_lora), with what has been read already.
    ///
    /// # Errors
    /// As [`load_lora`](Self::load_lora).
    pub fn add_lora(&mut self, lora: &Lora, strength: f64) -> Result<()> {
        Lora::check_strength(strength)?;
        self.check_lora(lora)?;
        let mut prompter = self.prompter.clone();
        for encoder in &mut prompter.encoders {
            encoder.model = lora.merge(encoder.part(), encoder.model.clone(), strength)?;
        }
        for embedding in lora.embeddings() {
            prompter.learn(embedding)?;
        }
        // A module whose weights are still to be made costs nothing. Were the old one kept until the new one is
        // there, the model would be in memory twice.
        let nothing = self.unet.config().init(&self.device);
        let unet = mem::replace(&mut self.unet, nothing);
        self.unet = lora.merge(Part::Unet, unet, strength)?;
        self.prompter = prompter;
        Ok(())
    }

    /// Whether the model has everything that a LoRA changes.
    fn check_lora(&self, lora: &Lora) -> Result<()> {
        for part in lora.parts() {
            let encoder = |encoder: &&TextEncoder| encoder.part() == part;
            match (part, self.prompter.encoders.iter().find(encoder)) {
                (Part::Unet, _) => lora.check(part, &self.unet)?,
                (_, Some(encoder)) => lora.check(part, &encoder.model)?,
                (_, None) => return Err(lora.part_missing(part)),
            }
        }
        Ok(())
    }
}
