//! Text to token ids, as transformers' `CLIPTokenizer` 5.23 does it.

mod built_in;
mod folder;
mod learned;
mod pipeline;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::OnceLock;

pub use built_in::byte_token;
use t2i_core::Result;
use tokenizers::AddedToken;

/// CLIP's byte-pair tokenizer.
///
/// ```
/// # use t2i_text::Tokenizer;
/// let tokenizer = Tokenizer::built_in();
/// assert_eq!(tokenizer.encode("a photo of a cat"), [49406, 320, 1125, 539, 320, 2368, 49407]);
/// assert_eq!(tokenizer.encode_batch(&["a photo of a cat", ""])[1].len(), 77);
/// ```
#[derive(Debug, Clone)]
pub struct Tokenizer {
    pipeline: tokenizers::Tokenizer,
    bos: u32,
    eos: u32,
    pad: u32,
    max_length: usize,
    /// How many ids a learned word has, from its first one on.
    learned: BTreeMap<u32, u32>,
}

/// What a tokenizer is built from.
#[derive(Clone)]
struct Vocabulary {
    /// Tokens in the byte-level alphabet, with `</w>` at the end of a word, and their ids.
    ids: HashMap<String, u32>,
    /// Pairs of tokens that become one, the most frequent first.
    merges: Vec<(String, String)>,
}

/// The tokens that the text may contain verbatim, and those that mark its ends.
struct SpecialTokens {
    bos: AddedToken,
    eos: AddedToken,
    unknown: AddedToken,
    pad: AddedToken,
    /// In the order of their ids.
    others: Vec<AddedToken>,
}

/// The number of tokens of every published CLIP text encoder.
const MAX_LENGTH: usize = 77;

impl Tokenizer {
    /// Reads the tokenizer of a diffusers folder.
    ///
    /// The vocabulary is `tokenizer.json`, or `vocab.json` and `merges.txt`. Special tokens and the length to pad to
    /// come from `tokenizer_config.json` and `special_tokens_map.json`, and are CLIP's where these files are absent.
    ///
    /// # Errors
    /// If there is no vocabulary, a file is corrupt, or a merge or special token is not in the vocabulary.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        folder::read(folder.as_ref())
    }

    /// CLIP's own tokenizer, without any file: Stable Diffusion 1, and the first of Stable Diffusion XL. Pads with
    /// the end token.
    pub fn built_in() -> Self {
        Self::published(AddedToken::from("<|endoftext|>", true))
    }

    /// As [`built_in`](Tokenizer::built_in), padded with id 0: Stable Diffusion 2, and the second tokenizer of Stable
    /// Diffusion XL.
    ///
    /// Id 0 is the exclamation mark. It is a special token here, so an exclamation mark in a prompt reads as padding,
    /// as it does in the reference.
    pub fn built_in_zero_padded() -> Self {
        Self::published(AddedToken::from("!", true))
    }

    /// The special tokens of <https://huggingface.co/openai/clip-vit-large-patch14>, padded with `pad`.
    fn published(pad: AddedToken) -> Self {
        static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
        let special = |content| AddedToken::from(content, true).normalized(true);
        let tokens = SpecialTokens {
            bos: special("<|startoftext|>"),
            eos: special("<|endoftext|>"),
            unknown: special("<|endoftext|>"),
            pad,
            others: Vec::new(),
        };
        let vocabulary = VOCABULARY.get_or_init(built_in::vocabulary).clone();
        Self::build(vocabulary, tokens, MAX_LENGTH).expect("the built-in vocabulary has these tokens")
    }

    /// # Errors
    /// A sentence about what is wrong with the vocabulary.
    fn build(vocabulary: Vocabulary, tokens: SpecialTokens, max_length: usize) -> Result<Self, String> {
        let id = |token: &AddedToken| {
            let id = vocabulary.ids.get(&token.content).copied();
            id.ok_or_else(|| format!("the special token `{}` is not in the vocabulary", token.content))
        };
        let (bos, eos) = (id(&tokens.bos)?, id(&tokens.eos)?);
        id(&tokens.unknown)?;
        let pad = tokens.pad.content.clone();
        let pipeline = pipeline::build(vocabulary, tokens, bos, eos)?;
        let pad = pipeline.token_to_id(&pad).ok_or_else(|| format!("the padding token `{pad}` is empty"))?;
        Ok(Self { pipeline, bos, eos, pad, max_length, learned: BTreeMap::new() })
    }

    /// The ids of a prompt of any length, between the begin and the end token.
    pub fn encode(&self, prompt: &str) -> Vec<u32> {
        self.tokens(prompt).into_iter().map(|(id, _)| id).collect()
    }

    /// The ids of each prompt, padded or cut to [`max_length`](Tokenizer::max_length).
    ///
    /// [`cut_off`](Tokenizer::cut_off) says what was lost.
    pub fn encode_batch(&self, prompts: &[impl AsRef<str>]) -> Vec<Vec<u32>> {
        prompts.iter().map(|prompt| self.fit(self.encode(prompt.as_ref()))).collect()
    }

    /// Pads or cuts the ids of one prompt to [`max_length`](Tokenizer::max_length). The end token survives the cut.
    pub fn fit(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if ids.len() > self.max_length {
            ids.truncate(self.max_length - 1);
            ids.push(self.eos);
        }
        ids.resize(self.max_length, self.pad);
        ids
    }

    /// The end of the prompt that [`encode_batch`](Tokenizer::encode_batch) cuts off, for a warning. `None` where
    /// the whole prompt fits.
    pub fn cut_off<'a>(&self, prompt: &'a str) -> Option<&'a str> {
        let tokens = self.tokens(prompt);
        // The last place that is kept goes to the end token.
        let (_, start) = tokens.get(self.max_length - 1).filter(|_| tokens.len() > self.max_length)?;
        Some(&prompt[prompt.floor_char_boundary(*start)..])
    }

    /// The id that begins every prompt.
    pub fn bos(&self) -> u32 {
        self.bos
    }

    /// The id that ends every prompt.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// The id that fills a short prompt.
    pub fn pad(&self) -> u32 {
        self.pad
    }

    /// The number of ids that the encoder reads, begin and end included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The number of tokens. An encoder with a smaller vocabulary refuses some of the ids.
    pub fn vocab_size(&self) -> usize {
        self.pipeline.get_vocab_size(true)
    }

    /// The ids of a prompt, and where in it each begins.
    fn tokens(&self, prompt: &str) -> Vec<(u32, usize)> {
        let encoding = self.pipeline.encode(prompt, true);
        let encoding = encoding.expect("the unknown token, which stands for all others, is in the vocabulary");
        let found = encoding.get_ids().iter().zip(encoding.get_offsets());
        found.flat_map(|(id, (start, _))| self.ids_of(*id).map(|id| (id, *start))).collect()
    }
}
