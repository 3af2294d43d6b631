//! Tokenizers as diffusers folders hold them.
//!
//! Of the options of `tokenizer_config.json` only those read here change the ids in the reference. The others, such as
//! `do_lower_case`, are accepted and without effect there too.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use t2i_core::{Error, Options, Result};
use tokenizers::AddedToken;

use super::{MAX_LENGTH, SpecialTokens, Tokenizer, Vocabulary};

pub(super) fn read(folder: &Path) -> Result<Tokenizer> {
    let file = folder.join("tokenizer.json");
    let (vocabulary, added) = match file.exists() {
        true => from_tokenizer_json(&file)?,
        false => (from_vocab_and_merges(folder)?, Vec::new()),
    };
    let (tokens, max_length) = special_tokens(folder, added)?;
    Tokenizer::build(vocabulary, tokens, max_length).map_err(|detail| Error::corrupt(folder, detail))
}

fn from_vocab_and_merges(folder: &Path) -> Result<Vocabulary> {
    let path = folder.join("merges.txt");
    let ids = json(&folder.join("vocab.json"))?;
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    let lines = text.lines().filter(|line| !line.starts_with("#version"));
    let merges = lines.map(|line| pair(line).map_err(|detail| Error::corrupt(&path, detail))).collect::<Result<_>>()?;
    Ok(Vocabulary { ids, merges })
}

/// What transformers reads of a `tokenizer.json`; the stages before and after the model are CLIP's in any case.
#[derive(Deserialize)]
struct TokenizerJson {
    model: ModelJson,
    #[serde(default)]
    added_tokens: Vec<TokenJson>,
}

#[derive(Deserialize)]
struct ModelJson {
    vocab: HashMap<String, u32>,
    merges: Vec<MergeJson>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MergeJson {
    Pair(String, String),
    Line(String),
}

fn from_tokenizer_json(path: &Path) -> Result<(Vocabulary, Vec<AddedToken>)> {
    let TokenizerJson { model, added_tokens } = json(path)?;
    let merges = model.merges.into_iter().map(|merge| match merge {
        MergeJson::Pair(a, b) => Ok((a, b)),
        MergeJson::Line(line) => pair(&line).map_err(|detail| Error::corrupt(path, detail)),
    });
    let merges = merges.collect::<Result<_>>()?;
    let added = added_tokens.into_iter().map(TokenJson::into).collect();
    Ok((Vocabulary { ids: model.vocab, merges }, added))
}

fn pair(line: &str) -> Result<(String, String), String> {
    match line.split(' ').collect::<Vec<_>>()[..] {
        [a, b] => Ok((a.to_owned(), b.to_owned())),
        _ => Err(format!("the merge `{line}` is not a pair of tokens")),
    }
}

/// A special token: its text, or its text with the rules by which it is found.
#[derive(Deserialize)]
#[serde(untagged)]
enum SpecialJson {
    Text(String),
    Rules(TokenJson),
}

#[derive(Deserialize)]
struct TokenJson {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default = "yes")]
    special: bool,
}

fn yes() -> bool {
    true
}

impl From<TokenJson> for AddedToken {
    fn from(token: TokenJson) -> Self {
        Self {
            content: token.content,
            single_word: token.single_word,
            lstrip: token.lstrip,
            rstrip: token.rstrip,
            normalized: token.normalized,
            special: token.special,
        }
    }
}

impl From<SpecialJson> for AddedToken {
    fn from(token: SpecialJson) -> Self {
        match token {
            SpecialJson::Text(content) => Self::from(content, true),
            SpecialJson::Rules(token) => Self { special: true, ..token.into() },
        }
    }
}

/// The special tokens, and the length that prompts are padded to.
///
/// `added_tokens_decoder` in the config makes the other files obsolete; without it, `special_tokens_map.json` wins
/// over the config.
fn special_tokens(folder: &Path, added: Vec<AddedToken>) -> Result<(SpecialTokens, usize)> {
    let mut config = options(&folder.join("tokenizer_config.json"))?;
    let mut map = options(&folder.join("special_tokens_map.json"))?;
    let decoder: Option<BTreeMap<u32, TokenJson>> = config.get("added_tokens_decoder", None)?;
    let map_counts = decoder.is_none();
    let others = match decoder {
        Some(decoder) => decoder.into_values().map(TokenJson::into).collect(),
        None => added.into_iter().chain(added_tokens_json(folder)?).collect::<Vec<_>>(),
    };
    let mut token = |name: &str, default: &str| -> Result<AddedToken> {
        let mut declared: Option<SpecialJson> = config.get(name, None)?;
        if map_counts {
            declared = map.get(name, None)?.or(declared);
        }
        let token = declared.map_or_else(|| AddedToken::from(default, true), SpecialJson::into);
        Ok(others.iter().find(|other| other.content == token.content).cloned().unwrap_or(token))
    };
    let bos = token("bos_token", "<|startoftext|>")?;
    let eos = token("eos_token", "<|endoftext|>")?;
    let unknown = token("unk_token", "<|endoftext|>")?;
    let pad = token("pad_token", "<|endoftext|>")?;
    let max_length = max_length(&mut config)?;
    Ok((SpecialTokens { bos, eos, unknown, pad, others }, max_length))
}

/// Tokens that transformers 4 wrote beside the vocabulary, in the order of their ids.
fn added_tokens_json(folder: &Path) -> Result<Vec<AddedToken>> {
    let path = folder.join("added_tokens.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let ids: HashMap<String, u32> = json(&path)?;
    let mut tokens: Vec<_> = ids.into_iter().collect();
    tokens.sort_by_key(|(_, id)| *id);
    Ok(tokens.into_iter().map(|(content, _)| AddedToken::from(content, false)).collect())
}

/// # Errors
/// If the config pads or cuts on the left, or leaves no room between the begin and the end token.
fn max_length(config: &mut Options) -> Result<usize> {
    for side in ["padding_side", "truncation_side"] {
        config.only(side, &[json!("right"), Value::Null])?;
    }
    config.only("split_special_tokens", &[json!(false), Value::Null])?;
    let length: f64 = config.get("model_max_length", MAX_LENGTH as f64)?;
    match length {
        // How transformers writes that the length is unknown: 1e30.
        _ if length > 1e29 => Ok(MAX_LENGTH),
        2.0..=65536.0 if length.fract() == 0.0 => Ok(length as usize),
        _ => Err(config.unsupported("model_max_length", &json!(length), "a number from 2 to 65536")),
    }
}

/// The options of a file, none if there is no such file.
fn options(path: &Path) -> Result<Options> {
    match path.exists() {
        true => Options::read(path),
        false => Options::from_json(path.display().to_string(), json!({})),
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text).map_err(|e| Error::corrupt(path, e))
}
