//! The stages between text and ids, one to one those of transformers' `CLIPTokenizer`.
//! <https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/clip/tokenization_clip.py>

use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{self, Lowercase, NFC, Replace};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

use super::{SpecialTokens, Vocabulary};

/// Marks the last token of a word.
const END_OF_WORD: &str = "</w>";

/// Special tokens, contractions, runs of letters, single digits, runs of anything else.
const WORDS: &str =
    concat!(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|", r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+");

/// # Errors
/// A sentence about what is wrong with the vocabulary.
pub(super) fn build(vocabulary: Vocabulary, tokens: SpecialTokens, bos: u32, eos: u32) -> Result<Tokenizer, String> {
    let ends = RobertaProcessing::new((tokens.eos.content.clone(), eos), (tokens.bos.content.clone(), bos))
        .trim_offsets(false)
        .add_prefix_space(false);
    let mut tokenizer = Tokenizer::new(model(vocabulary, &tokens.unknown.content)?);
    tokenizer.with_normalizer(Some(cleaning())).map_err(text)?;
    tokenizer.with_pre_tokenizer(Some(words()));
    tokenizer.with_post_processor(Some(ends));
    // Of two special tokens with one content the last decides how the text is searched for it: padding with the end
    // token turns off the search in lower case.
    let SpecialTokens { bos, eos, unknown, pad, others } = tokens;
    let tokens = others.into_iter().chain([bos, eos, unknown, pad]);
    tokenizer.add_tokens(tokens).map_err(text)?;
    Ok(tokenizer)
}

fn model(vocabulary: Vocabulary, unknown: &str) -> Result<BPE, String> {
    check_merges(&vocabulary)?;
    BPE::builder()
        .vocab_and_merges(vocabulary.ids.into_iter().collect::<tokenizers::models::bpe::Vocab>(), vocabulary.merges)
        .unk_token(unknown.to_owned())
        .end_of_word_suffix(END_OF_WORD.to_owned())
        .build()
        .map_err(text)
}

/// The builder of `tokenizers` panics where a merged token is longer than the longest of the vocabulary.
fn check_merges(vocabulary: &Vocabulary) -> Result<(), String> {
    let known = |token: &str| match vocabulary.ids.contains_key(token) {
        true => Ok(()),
        false => Err(format!("a merge mentions the token `{token}`, which is not in the vocabulary")),
    };
    let mut merges = vocabulary.merges.iter();
    merges.try_for_each(|(a, b)| known(a).and(known(b)).and_then(|()| known(&format!("{a}{b}"))))
}

fn cleaning() -> normalizers::Sequence {
    let spaces = ReplacePattern::Regex(r"\s+".to_owned());
    let spaces = Replace::new(spaces, " ").expect("the pattern is valid");
    normalizers::Sequence::new(vec![NFC.into(), spaces.into(), Lowercase.into()])
}

fn words() -> PreTokenizers {
    let pattern = SplitPattern::Regex(WORDS.to_owned());
    let split = Split::new(pattern, SplitDelimiterBehavior::Removed, true).expect("the pattern is valid");
    PreTokenizers::new(vec![split.into(), ByteLevel::default().add_prefix_space(false).into()])
}

fn text(error: tokenizers::Error) -> String {
    error.to_string()
}
