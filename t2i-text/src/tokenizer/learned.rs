//! Words that the vocabulary does not have, for learned embeddings.

use std::ops::Range;

use t2i_core::{Error, Result};
use tokenizers::AddedToken;

use super::Tokenizer;

impl Tokenizer {
    /// Adds a word that is read as `vectors` ids, which follow each other: gives the first. From then on the word
    /// counts wherever it stands in a prompt, in small letters or capitals.
    ///
    /// The ids are those that diffusers' `load_textual_inversion` gives `<word>`, `<word>_1`, and so on.
    ///
    /// # Errors
    /// If the vocabulary has the word, or one of those that stand for its further vectors; if it is empty, or there
    /// are no vectors.
    pub fn add_word(&mut self, word: &str, vectors: usize) -> Result<u32> {
        if word.trim().is_empty() || vectors == 0 {
            return Err(wrong(word, format!("a word that is not empty, of 1 vector or more, not {vectors}")));
        }
        let names: Vec<_> = (0..vectors).map(|i| name(word, i)).collect();
        if let Some(taken) = (0..=vectors).map(|i| name(word, i)).find(|name| self.reads(name)) {
            return Err(exists(word, &taken));
        }
        // On a copy, because a failure may come halfway.
        let mut pipeline = self.pipeline.clone();
        let tokens = names.iter().map(|name| AddedToken::from(name.as_str(), false));
        pipeline.add_tokens(tokens).map_err(|_| exists(word, word))?;
        let ids: Option<Vec<_>> = names.iter().map(|name| pipeline.token_to_id(name)).collect();
        let ids = ids.ok_or_else(|| wrong(word, "a word that the vocabulary can hold".to_owned()))?;
        self.pipeline = pipeline;
        self.learned.insert(ids[0], vectors as u32);
        Ok(ids[0])
    }

    /// Whether the vocabulary has the name, or a word was added that a prompt cannot tell from it: prompts are read without
    /// capitals.
    fn reads(&self, name: &str) -> bool {
        let added = self.pipeline.get_added_tokens_decoder();
        let mut words = added.values().map(|token| token.content.to_lowercase());
        self.pipeline.token_to_id(name).is_some() || words.any(|word| word == name.to_lowercase())
    }

    /// All ids that an id of the vocabulary stands for.
    pub(super) fn ids_of(&self, id: u32) -> Range<u32> {
        id..id + self.learned.get(&id).copied().unwrap_or(1)
    }
}

fn name(word: &str, vector: usize) -> String {
    match vector {
        0 => word.to_owned(),
        i => format!("{word}_{i}"),
    }
}

fn exists(word: &str, taken: &str) -> Error {
    wrong(word, format!("a word that the tokenizer does not have; it has `{taken}`. Give the embedding another word"))
}

fn wrong(word: &str, expected: String) -> Error {
    Error::InvalidValue { field: "token", value: format!("`{word}`"), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_three_vectors_is_three_ids() {
        let mut tokenizer = Tokenizer::built_in();
        assert_eq!(tokenizer.add_word("<birb-style>", 3).expect("new"), 49408);
        assert_eq!(tokenizer.add_word("<cat>", 1).expect("new"), 49411);
        let ids = tokenizer.encode("a <birb-style> horse, <CAT>");
        assert_eq!(ids, [49406, 320, 49408, 49409, 49410, 4558, 267, 49411, 49407]);
    }

    #[test]
    fn a_word_that_exists_is_refused() {
        let mut tokenizer = Tokenizer::built_in();
        tokenizer.add_word("<Cat>", 2).expect("new");
        let size = tokenizer.vocab_size();
        for word in ["<Cat>", "<cat>", "<Cat>_1", "horse</w>", "<|endoftext|>", "", "  "] {
            let error = tokenizer.add_word(word, 1).expect_err(word).to_string();
            assert!(error.starts_with("token is"), "{error}");
        }
        assert!(tokenizer.add_word("<dog>", 0).is_err());
        assert_eq!(tokenizer.vocab_size(), size);
        assert_eq!(tokenizer.encode("<cat>").len(), 4);
    }

    #[test]
    fn the_vectors_of_a_word_count_where_a_prompt_is_cut() {
        let mut tokenizer = Tokenizer::built_in();
        tokenizer.add_word("<long>", 75).expect("new");
        assert_eq!(tokenizer.cut_off("<long>"), None);
        assert_eq!(tokenizer.cut_off("<long> horse"), Some("horse"));
        assert_eq!(tokenizer.encode_batch(&["a <long>"])[0].len(), 77);
    }
}
