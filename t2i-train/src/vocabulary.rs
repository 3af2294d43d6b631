//! A byte-pair vocabulary learned from captions, in the format of CLIP's.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use t2i_core::{Error, Result};
use t2i_text::byte_token;
use tokenizers::Trainer;
use tokenizers::models::bpe::{BPE, BpeTrainer};

/// The tokens that every vocabulary has: bytes, and bytes at the end of a word.
const BYTES: usize = 512;
/// The tokens that mark the ends of a text, in the order of their ids.
const ENDS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];

/// What CLIP's tokenizer reads: tokens by id, and which pairs become one, the most frequent first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    tokens: Vec<String>,
    merges: Vec<(String, String)>,
}

impl Vocabulary {
    /// Learns a vocabulary of `size` tokens from lines of text by byte-pair encoding
    /// ([Sennrich et al. 2016](https://arxiv.org/abs/1508.07909)). It is smaller where the text has fewer pairs.
    ///
    /// Words are learned that are letters of ASCII only, in lower case: any other text is spelled in bytes.
    ///
    /// # Errors
    /// If `size` leaves no room for the bytes and the ends of a text.
    pub fn learn<'a>(lines: impl Iterator<Item = &'a str> + Send, size: usize) -> Result<Self> {
        let room = size.checked_sub(BYTES + ENDS.len()).ok_or_else(|| Error::InvalidValue {
            field: "size",
            value: size.to_string(),
            expected: format!("at least {}", BYTES + ENDS.len()),
        })?;
        let bytes: Vec<_> = (0..BYTES as u32).map(byte_token).collect();
        let mut merges = learn(lines, BYTES + room)?;
        merges.truncate(room);
        let merged = merges.iter().map(|(a, b)| format!("{a}{b}"));
        let tokens = bytes.into_iter().chain(merged).chain(ENDS.map(str::to_owned)).collect();
        Ok(Self { tokens, merges })
    }

    /// How many tokens there are.
    #[allow(clippy::len_without_is_empty)] // it never is
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Writes `vocab.json` and `merges.txt` into a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let ids: Map<String, Value> = self.tokens.iter().cloned().zip((0..).map(|id: usize| Value::from(id))).collect();
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(Error::io(&path))
        };
        write("vocab.json", Value::Object(ids).to_string())?;
        let merges = self.merges.iter().map(|(a, b)| format!("{a} {b}\n"));
        write("merges.txt", std::iter::once("#version: 0.2\n".to_owned()).chain(merges).collect())
    }
}

fn learn<'a>(lines: impl Iterator<Item = &'a str> + Send, size: usize) -> Result<Vec<(String, String)>> {
    let corrupt = |e: &dyn std::fmt::Display| Error::corrupt("the captions", e);
    let mut trainer = BpeTrainer::builder()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .end_of_word_suffix("</w>".to_owned())
        .build();
    trainer.feed(lines, |line| Ok(words(line))).map_err(|e| corrupt(&e))?;
    let mut model = BPE::default();
    trainer.train(&mut model).map_err(|e| corrupt(&e))?;
    let model = serde_json::to_value(&model).map_err(|e| corrupt(&e))?;
    serde_json::from_value(model["merges"].clone()).map_err(|e| corrupt(&e))
}

fn words(line: &str) -> Vec<String> {
    let words = line.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}
