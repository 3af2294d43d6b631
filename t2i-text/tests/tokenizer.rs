//! The tokenizer against transformers' `CLIPTokenizer` 5.23. The ids come from `tests/golden/make_text.py`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use t2i_core::Error;
use t2i_text::Tokenizer;
use tempfile::TempDir;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/text");

#[derive(Deserialize)]
struct ClipIds {
    prompts: Vec<String>,
    ids: Vec<Vec<u32>>,
    /// Where padding with id 0 gives other ids.
    zero_padded: BTreeMap<usize, Vec<u32>>,
    fitted: BTreeMap<usize, Vec<u32>>,
    zero_fitted: BTreeMap<usize, Vec<u32>>,
}

impl ClipIds {
    fn zero_padded(&self, prompt: usize) -> &Vec<u32> {
        self.zero_padded.get(&prompt).unwrap_or(&self.ids[prompt])
    }
}

fn golden<T: DeserializeOwned>(file: &str) -> T {
    serde_json::from_str(&std::fs::read_to_string(Path::new(GOLDEN).join(file)).unwrap()).unwrap()
}

/// A published tokenizer, where the reference data is at hand.
fn published(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/configs").join(folder);
    if !path.exists() {
        eprintln!("skipped: no {}", path.display());
    }
    path.exists().then_some(path)
}

#[test]
fn the_ids_of_1000_prompts_are_the_reference_s() {
    let golden: ClipIds = golden("clip_ids.json");
    assert_eq!(golden.prompts.len(), 1000);
    let (end, zero) = (Tokenizer::built_in(), Tokenizer::built_in_zero_padded());
    for (i, prompt) in golden.prompts.iter().enumerate() {
        assert_eq!(end.encode(prompt), golden.ids[i], "{prompt:?}");
        assert_eq!(&zero.encode(prompt), golden.zero_padded(i), "padded with 0: {prompt:?}");
    }
}

#[test]
fn prompts_are_padded_and_cut_as_by_the_reference() {
    let golden: ClipIds = golden("clip_ids.json");
    let (end, zero) = (Tokenizer::built_in(), Tokenizer::built_in_zero_padded());
    for (i, expected) in &golden.fitted {
        assert_eq!(&end.encode_batch(&[&golden.prompts[*i]])[0], expected, "{:?}", golden.prompts[*i]);
    }
    for (i, expected) in &golden.zero_fitted {
        assert_eq!(&zero.encode_batch(&[&golden.prompts[*i]])[0], expected, "{:?}", golden.prompts[*i]);
    }
}

#[test]
fn published_folders_give_the_same_ids() {
    let golden: ClipIds = golden("clip_ids.json");
    for (folder, zero_padded) in
        [("sd14/tokenizer", false), ("sdxl/tokenizer", false), ("sd21/tokenizer", true), ("sdxl/tokenizer_2", true)]
    {
        let Some(path) = published(folder) else { return };
        let tokenizer = Tokenizer::from_folder(path).unwrap();
        assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.max_length()), (49406, 49407, 77));
        assert_eq!(tokenizer.pad(), if zero_padded { 0 } else { 49407 });
        assert_eq!(tokenizer.vocab_size(), 49408);
        for (i, prompt) in golden.prompts.iter().enumerate() {
            let expected = if zero_padded { golden.zero_padded(i) } else { &golden.ids[i] };
            assert_eq!(&tokenizer.encode(prompt), expected, "{folder}: {prompt:?}");
        }
    }
}

#[test]
fn both_kinds_of_vocabulary_files_are_read() {
    let golden: BTreeMap<String, serde_json::Value> = golden("tiny_ids.json");
    let field = |name: &str| golden[name].clone();
    let prompts: Vec<String> = serde_json::from_value(field("prompts")).unwrap();
    for folder in ["tiny_plain", "tiny_saved"] {
        let tokenizer = Tokenizer::from_folder(Path::new(GOLDEN).join(folder)).unwrap();
        let ids: Vec<Vec<u32>> = serde_json::from_value(field(folder)).unwrap();
        let fitted: Vec<Vec<u32>> = serde_json::from_value(field(&format!("{folder}_fitted"))).unwrap();
        assert_eq!(prompts.iter().map(|prompt| tokenizer.encode(prompt)).collect::<Vec<_>>(), ids, "{folder}");
        assert_eq!(tokenizer.encode_batch(&prompts), fitted, "{folder}");
    }
}

#[test]
fn the_tokenizer_of_diffusers_dummy_tests_is_read() {
    let Some(configs) = published("") else { return };
    let tokenizer = Tokenizer::from_folder(configs.join("../tiny_random_clip")).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.vocab_size()), (0, 1, 1000));
}

#[test]
fn what_is_cut_off_is_said() {
    let tokenizer = Tokenizer::built_in();
    assert_eq!(tokenizer.cut_off(""), None);
    assert_eq!(tokenizer.cut_off(&"word ".repeat(75)), None);
    assert_eq!(tokenizer.cut_off(&("word ".repeat(75) + "Lost Words")), Some("Lost Words"));
    // 75 letters in one token each; the tail begins within a character that is three tokens long, or at it.
    let emoji = "🦀".repeat(40);
    let tail = tokenizer.cut_off(&emoji).unwrap();
    assert!(!tail.is_empty() && emoji.ends_with(tail));
}

#[test]
fn a_prompt_of_10_000_words_is_cut_to_77_tokens() {
    let tokenizer = Tokenizer::built_in();
    let prompt = "cat ".repeat(10_000);
    assert_eq!(tokenizer.encode(&prompt).len(), 10_002);
    let ids = &tokenizer.encode_batch(&[&prompt])[0];
    assert_eq!((ids.len(), ids[0], ids[76]), (77, 49406, 49407));
    assert_eq!(tokenizer.cut_off(&prompt).unwrap().trim_end().split(' ').count(), 10_000 - 75);
}

#[test]
fn one_word_of_a_million_letters_is_no_problem() {
    let ids = Tokenizer::built_in().encode_batch(&["a".repeat(1_000_000), "'".repeat(1_000_000)]);
    assert!(ids.iter().all(|ids| ids.len() == 77 && ids[76] == 49407));
}

#[test]
fn an_empty_prompt_is_begin_end_and_padding() {
    let ids = Tokenizer::built_in_zero_padded().encode_batch(&[""]);
    assert_eq!(ids[0][..3], [49406, 49407, 0]);
    assert_eq!(Tokenizer::built_in().encode_batch(&[] as &[&str]), Vec::<Vec<u32>>::new());
}

// ---------------------------------------------------------------- broken folders

/// The tiny tokenizer with some files replaced, or removed where the text is empty.
fn folder(changes: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["vocab.json", "merges.txt", "tokenizer_config.json"] {
        std::fs::copy(Path::new(GOLDEN).join("tiny_plain").join(file), folder.path().join(file)).unwrap();
    }
    for (file, text) in changes {
        match text.is_empty() {
            true => std::fs::remove_file(folder.path().join(file)).unwrap(),
            false => std::fs::write(folder.path().join(file), text).unwrap(),
        }
    }
    folder
}

fn error(changes: &[(&str, &str)]) -> Error {
    Tokenizer::from_folder(folder(changes)).expect_err("the folder is broken")
}

#[test]
fn a_missing_file_is_named() {
    for file in ["vocab.json", "merges.txt"] {
        match error(&[(file, "")]) {
            Error::Io { path, .. } => assert!(path.ends_with(file)),
            other => panic!("{other}"),
        }
    }
    let error = Tokenizer::from_folder("no/such/folder").unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn a_missing_config_means_clip_s() {
    let tokenizer = Tokenizer::from_folder(folder(&[("tokenizer_config.json", "")])).unwrap();
    assert_eq!((tokenizer.max_length(), tokenizer.pad()), (77, tokenizer.eos()));
}

#[test]
fn corrupt_files_are_named() {
    let cases = [
        ("vocab.json", "{ \"a\": 1"),
        ("vocab.json", "[1, 2]"),
        ("vocab.json", r#"{ "a": "one" }"#),
        ("vocab.json", r#"{ "a": -1 }"#),
        ("merges.txt", "#version: 0.2\na b c\n"),
        ("merges.txt", "alone\n"),
        ("tokenizer_config.json", "{"),
        ("special_tokens_map.json", "[]"),
        ("added_tokens.json", r#"["<toy>"]"#),
        ("tokenizer.json", r#"{ "model": {} }"#),
        ("tokenizer.json", r#"{ "model": { "vocab": { "a": 0 }, "merges": ["a"] } }"#),
    ];
    for (file, text) in cases {
        match error(&[(file, text)]) {
            Error::Corrupt { path, .. } => assert!(path.ends_with(file), "{file}: {}", path.display()),
            other => panic!("{file}: {other}"),
        }
    }
}

#[test]
fn merges_and_special_tokens_must_be_in_the_vocabulary() {
    let long = "z".repeat(500);
    let cases: [(&str, String, &str); 5] = [
        ("merges.txt", "a Q\n".to_owned(), "`Q`"),
        ("merges.txt", "a z\n".to_owned(), "`az`"),
        // `tokenizers` alone panics at this one.
        ("merges.txt", "<|startoftext|> <|endoftext|>\n".to_owned(), "`<|startoftext|><|endoftext|>`"),
        ("merges.txt", format!("{long} {long}\n"), "zzz"),
        ("tokenizer_config.json", r#"{ "unk_token": "<unk>" }"#.to_owned(), "`<unk>`"),
    ];
    for (file, text, culprit) in cases {
        let error = error(&[(file, &text)]);
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(culprit), "{error}");
    }
    let message = error(&[("vocab.json", "{}"), ("merges.txt", "#version: 0.2\n")]).to_string();
    assert!(message.contains("<|startoftext|>"), "{message}");
}

#[test]
fn options_that_would_change_the_ids_are_refused() {
    for config in [
        r#"{ "padding_side": "left" }"#,
        r#"{ "truncation_side": "left" }"#,
        r#"{ "split_special_tokens": true }"#,
        r#"{ "model_max_length": 1 }"#,
        r#"{ "model_max_length": -77 }"#,
        r#"{ "model_max_length": 7.5 }"#,
        r#"{ "model_max_length": "77" }"#,
        r#"{ "pad_token": 0 }"#,
    ] {
        let error = error(&[("tokenizer_config.json", config)]);
        assert!(matches!(error, Error::UnsupportedOption { .. }), "{config}: {error}");
        assert!(error.to_string().contains("tokenizer_config.json"), "{error}");
    }
}

#[test]
fn an_unknown_length_is_clip_s() {
    let config = r#"{ "model_max_length": 1000000000000000019884624838656 }"#;
    let tokenizer = Tokenizer::from_folder(folder(&[("tokenizer_config.json", config)])).unwrap();
    assert_eq!(tokenizer.max_length(), 77);
}
