//! The text encoders against transformers 5.23. Weights and outputs come from `tests/golden/make_text.py`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../tests/support/device.rs"]
mod device;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{DType, FloatDType, Int, Tensor};
use device::{arithmetic, computed, device};
use serde_json::{Value, json};
use t2i_core::{Error, Options, Weights};
use t2i_text::{Activation, ClipTextConfig, ClipTextModel, EndToken, TextOutput, Tokenizer};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/text");

const ENCODERS: [&str; 4] =
    ["quick_gelu_legacy", "gelu_explicit", "projection_quick_gelu_explicit", "projection_gelu_legacy"];

/// The largest error allowed, as a part of the largest value. The weights and the arithmetic are f32.
const TOLERANCE: f32 = 2e-5;

fn config(json: Value) -> t2i_core::Result<ClipTextConfig> {
    ClipTextConfig::from_options(Options::from_json("config.json", json).unwrap())
}

fn read_config(folder: &Path) -> ClipTextConfig {
    ClipTextConfig::from_options(Options::read(&folder.join("config.json")).unwrap()).unwrap()
}

/// An encoder of the golden data. transformers 5 leaves `text_model.` out of the names of a `CLIPTextModel`.
fn encoder(name: &str, dtype: FloatDType) -> ClipTextModel {
    let folder = Path::new(GOLDEN).join(name);
    let full = |name: &str| match name.starts_with("text_") {
        true => Some(name.to_owned()),
        false => Some(format!("text_model.{name}")),
    };
    let weights = Weights::open(&folder.join("model.safetensors")).unwrap().rename(full).unwrap();
    weights.load(read_config(&folder).init(&device()), dtype).unwrap()
}

struct Golden(Weights);

impl Golden {
    fn open(name: &str) -> Self {
        Self(Weights::open(&Path::new(GOLDEN).join(name).join("outputs.safetensors")).unwrap())
    }

    fn ids(&self) -> Vec<Vec<u32>> {
        let ids = self.0.read("ids").unwrap().try_into_vec::<i32>().unwrap();
        ids.chunks(12).map(|ids| ids.iter().map(|id| *id as u32).collect()).collect()
    }

    /// The largest error of `found`, as a part of the largest value.
    fn error<const D: usize>(&self, name: &str, found: Tensor<D>) -> f32 {
        let expected = self.0.read(name).unwrap();
        let found = found.cast(DType::F32).into_data();
        assert_eq!(found.shape(), expected.shape(), "{name}");
        let (found, expected) = (found.try_into_vec::<f32>().unwrap(), expected.try_into_vec::<f32>().unwrap());
        assert!(found.iter().all(|value| value.is_finite()), "{name} is not finite");
        let largest = expected.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        let error = found.iter().zip(&expected).fold(0.0, |error: f32, (a, b)| error.max((a - b).abs()));
        error / largest
    }

    fn errors(&self, output: &TextOutput) -> Vec<(String, f32)> {
        let mut errors: Vec<_> = output
            .hidden_states
            .iter()
            .enumerate()
            .map(|(i, hidden)| (format!("hidden_states.{i}"), hidden.clone()))
            .chain([("last_hidden_state".to_owned(), output.last_hidden_state.clone())])
            .map(|(name, tensor)| (name.clone(), self.error(&name, tensor)))
            .collect();
        errors.push(("pooled".to_owned(), self.error("pooled", output.pooled.clone())));
        if let Some(embeds) = &output.text_embeds {
            errors.push(("text_embeds".to_owned(), self.error("text_embeds", embeds.clone())));
        }
        errors
    }
}

#[test]
fn every_output_equals_the_reference_s() {
    for name in ENCODERS {
        let golden = Golden::open(name);
        let encoder = encoder(name, FloatDType::F32);
        let output = encoder.encode(&golden.ids(), &device()).unwrap();
        assert_eq!(output.hidden_states.len(), 4);
        assert_eq!(output.text_embeds.is_some(), name.starts_with("projection"), "{name}");
        let skipped = golden.error("clip_skip_1", encoder.clip_skip(&output, 1).unwrap());
        for (part, error) in golden.errors(&output).into_iter().chain([("clip_skip_1".to_owned(), skipped)]) {
            eprintln!("{name} {part}: {error:.1e}");
            println!("parity | text encoder | {name} {part} | {TOLERANCE:.1e} | {error:.1e}");
            assert!(error <= TOLERANCE, "{name} {part}: {error:e}");
        }
    }
}

#[test]
fn hidden_layers_are_counted_from_the_end() {
    let golden = Golden::open("gelu_explicit");
    let encoder = encoder("gelu_explicit", FloatDType::F32);
    let output = encoder.encode(&golden.ids(), &device()).unwrap();
    assert!(golden.error("hidden_states.2", output.penultimate().unwrap()) <= TOLERANCE);
    assert!(golden.error("hidden_states.0", output.hidden_from_end(3).unwrap()) <= TOLERANCE);
    assert!(golden.error("last_hidden_state", encoder.clip_skip(&output, 0).unwrap()) <= TOLERANCE);
    let error = encoder.clip_skip(&output, 4).unwrap_err();
    assert!(matches!(error, Error::InvalidValue { field: "clip skip", .. }), "{error}");
}

/// A batch gives what its prompts give alone, and a prompt that is not padded what a padded one begins with.
#[test]
fn neither_the_batch_nor_what_follows_changes_a_prompt() {
    let golden = Golden::open("gelu_explicit");
    let encoder = encoder("gelu_explicit", FloatDType::F32);
    let device = device();
    let ids = golden.ids();
    let all = encoder.encode(&ids, &device).unwrap();
    for (i, ids) in ids.iter().enumerate() {
        let end = 1 + ids.iter().position(|id| *id == 98).unwrap();
        let one = encoder.encode(&[ids[..end].to_vec()], &device).unwrap();
        let same = all.last_hidden_state.clone().slice([i..i + 1, 0..end]) - one.last_hidden_state;
        assert!(same.abs().max().into_scalar::<f32>() <= 1e-5);
        let same = all.pooled.clone().slice_dim(0, i..i + 1) - one.pooled;
        assert!(same.abs().max().into_scalar::<f32>() <= 1e-5);
    }
}

/// Weights of halves, whose arithmetic on a CPU is that of f32: compared with weights of f32, at the precision of bf16 over a
/// few layers.
#[test]
fn half_precision_stays_close() {
    let golden = Golden::open("projection_gelu_legacy");
    for (dtype, tolerance) in computed([(FloatDType::F16, 1e-2), (FloatDType::BF16, 5e-2)]) {
        let encoder = encoder("projection_gelu_legacy", dtype);
        assert_eq!(encoder.dtype(), arithmetic(dtype).into());
        let output = encoder.encode(&golden.ids(), &device()).unwrap();
        for (part, error) in golden.errors(&output) {
            assert!(error <= tolerance, "{dtype:?} {part}: {error:e}");
        }
        encoder.clip_skip(&output, 2).unwrap();
    }
}

#[test]
fn prompts_of_the_tokenizer_reach_the_encoder() {
    let prompts = ["", "a photo of a cat", &"word ".repeat(10_000)];
    let tiny = ClipTextConfig {
        hidden_size: 16,
        intermediate_size: 16,
        layers: 1,
        heads: 2,
        ..ClipTextConfig::open_clip_bigg()
    };
    let encoder = tiny.init(&device());
    let ids = Tokenizer::built_in_zero_padded().encode_batch(&prompts);
    let output = encoder.encode(&ids, &device()).unwrap();
    assert_eq!(output.last_hidden_state.dims(), [3, 77, 16]);
    assert_eq!(output.text_embeds.unwrap().dims(), [3, 1280]);
}

// ---------------------------------------------------------------- bad input

#[test]
fn ids_beyond_the_vocabulary_are_named() {
    let encoder = encoder("gelu_explicit", FloatDType::F32);
    let error = encoder.encode(&[vec![97, 100, 98]], &device()).unwrap_err();
    assert_eq!(error.to_string(), "token id is 100, but must be below 100, the vocabulary of the text encoder");
}

#[test]
fn lengths_that_the_encoder_cannot_take_are_named() {
    let encoder = encoder("gelu_explicit", FloatDType::F32);
    let cases = [(vec![], "0"), (vec![vec![]], "0"), (vec![vec![1; 13]], "13"), (vec![vec![1; 4], vec![1; 5]], "5")];
    for (ids, length) in cases {
        let message = encoder.encode(&ids, &device()).unwrap_err().to_string();
        assert!(message.contains(&format!("{length} token ids")), "{message}");
    }
}

#[test]
#[should_panic(expected = "13 tokens, but 12 positions")]
fn forward_states_its_precondition() {
    encoder("gelu_explicit", FloatDType::F32).forward(Tensor::<2, Int>::zeros([1, 13], &device()));
}

// ---------------------------------------------------------------- configs

fn published(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/configs").join(folder);
    if !path.exists() {
        eprintln!("skipped: no {}", path.display());
    }
    path.exists().then_some(path)
}

#[test]
fn presets_equal_the_published_configs() {
    let clip_l_projected = ClipTextConfig { projection_dim: Some(768), ..ClipTextConfig::clip_l() };
    for (folder, preset) in [
        ("sd14/text_encoder", ClipTextConfig::clip_l()),
        ("sdxl/text_encoder", ClipTextConfig::clip_l()),
        ("flux_schnell/text_encoder", ClipTextConfig::clip_l()),
        ("sd35", clip_l_projected),
        ("sd21/text_encoder", ClipTextConfig::open_clip_h()),
        ("sdxl/text_encoder_2", ClipTextConfig::open_clip_bigg()),
    ] {
        let Some(folder) = published(folder) else { return };
        assert_eq!(read_config(&folder), preset, "{}", folder.display());
    }
}

/// Nothing is allocated: parameters are lazy.
#[test]
fn presets_have_the_published_parameter_counts() {
    let counts: Value =
        serde_json::from_str(&std::fs::read_to_string(Path::new(GOLDEN).join("parameter_counts.json")).unwrap())
            .unwrap();
    assert_eq!(counts["clip_l"], 123_060_480);
    for (name, preset) in [
        ("clip_l", ClipTextConfig::clip_l()),
        ("open_clip_h", ClipTextConfig::open_clip_h()),
        ("open_clip_bigg", ClipTextConfig::open_clip_bigg()),
    ] {
        assert_eq!(json!(preset.init(&device()).num_params()), counts[name], "{name}");
    }
}

#[test]
fn defaults_are_those_of_transformers() {
    let config = config(json!({ "model_type": "clip_text_model" })).unwrap();
    assert_eq!((config.hidden_size, config.layers, config.heads), (512, 12, 8));
    assert_eq!((config.activation, config.end_token), (Activation::QuickGelu, EndToken::Id(49407)));
    assert_eq!(config.projection_dim, None);
}

#[test]
fn the_text_half_of_a_whole_clip_is_read() {
    let text = json!({ "hidden_size": 64, "num_attention_heads": 4, "model_type": "clip_text_model", "top_k": 50 });
    let clip = json!({
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 48, "logit_scale_init_value": 2.6592,
        "text_config": text, "text_config_dict": null, "vision_config": { "hidden_size": 32 }, "torch_dtype": "float32",
    });
    let config = config(clip).unwrap();
    assert_eq!((config.hidden_size, config.projection_dim), (64, Some(48)));
}

/// The attributes that transformers 4 writes into a nested config, and those of transformers 5.
#[test]
fn attributes_of_other_models_are_accepted() {
    let four = serde_json::from_str(
        r#"{
        "_name_or_path": "", "add_cross_attention": false, "architectures": null, "attention_dropout": 0.0,
        "bad_words_ids": null, "begin_suppress_tokens": null, "bos_token_id": 0, "chunk_size_feed_forward": 0,
        "cross_attention_hidden_size": null, "decoder_start_token_id": null, "diversity_penalty": 0.0,
        "do_sample": false, "dropout": 0.0, "early_stopping": false, "encoder_no_repeat_ngram_size": 0,
        "eos_token_id": 2, "exponential_decay_length_penalty": null, "finetuning_task": null,
        "forced_bos_token_id": null, "forced_eos_token_id": null, "hidden_act": "quick_gelu", "hidden_size": 768,
        "id2label": { "0": "LABEL_0", "1": "LABEL_1" }, "initializer_factor": 1.0, "initializer_range": 0.02,
        "intermediate_size": 3072, "is_decoder": false, "is_encoder_decoder": false,
        "label2id": { "LABEL_0": 0, "LABEL_1": 1 }, "layer_norm_eps": 1e-05, "length_penalty": 1.0,
        "max_length": 20, "max_position_embeddings": 77, "min_length": 0, "model_type": "clip_text_model",
        "no_repeat_ngram_size": 0, "num_attention_heads": 12, "num_beam_groups": 1, "num_beams": 1,
        "num_hidden_layers": 12, "num_return_sequences": 1, "output_attentions": false,
        "output_hidden_states": false, "output_scores": false, "pad_token_id": 1, "prefix": null,
        "problem_type": null, "projection_dim": 768, "pruned_heads": {}, "remove_invalid_values": false,
        "repetition_penalty": 1.0, "return_dict": true, "return_dict_in_generate": false, "sep_token_id": null,
        "suppress_tokens": null, "task_specific_params": null, "temperature": 1.0, "tf_legacy_loss": false,
        "tie_encoder_decoder": false, "tie_word_embeddings": true, "tokenizer_class": null, "top_k": 50,
        "top_p": 1.0, "torch_dtype": null, "torchscript": false, "transformers_version": "4.30.2",
        "typical_p": 1.0, "use_bfloat16": false, "vocab_size": 49408
    }"#,
    )
    .unwrap();
    assert_eq!(config(four).unwrap(), ClipTextConfig::clip_l());
    let five = json!({
        "architectures": null, "attention_dropout": 0.0, "bos_token_id": 49406, "chunk_size_feed_forward": 0,
        "dtype": null, "eos_token_id": 49407, "id2label": { "0": "LABEL_0" }, "is_encoder_decoder": false,
        "label2id": { "LABEL_0": 0 }, "output_attentions": false, "output_hidden_states": false,
        "pad_token_id": 1, "problem_type": null, "return_dict": true, "transformers_version": "5.23.0",
        "model_type": "clip_text_model",
    });
    config(five).unwrap();
}

#[test]
fn options_that_are_not_supported_are_named() {
    for (option, value) in [
        ("hidden_act", json!("relu")),
        ("hidden_act", json!("gelu_new")),
        ("hidden_size", json!("768")),
        ("hidden_size", json!(0)),
        ("num_hidden_layers", json!(-1)),
        ("vocab_size", json!(1.5)),
        ("num_attention_heads", json!(7)),
        ("layer_norm_eps", json!("small")),
        ("layer_norm_eps", json!(-1.0)),
        ("eos_token_id", json!([49407, 2])),
        ("eos_token_id", Value::Null),
        ("architectures", json!(["T5EncoderModel"])),
        ("architectures", json!("CLIPTextModel")),
        ("model_type", json!("t5")),
        ("pruned_heads", json!({ "0": [1] })),
        ("quantization_config", json!({ "bits": 4 })),
        ("projection_dim", json!("wide")),
    ] {
        match config(json!({ option: value })) {
            Err(Error::UnsupportedOption { option: named, .. }) => assert_eq!(named, option, "{value}"),
            other => panic!("{option} {value}: {other:?}"),
        }
    }
    let no_width = json!({ "architectures": ["CLIPTextModelWithProjection"], "projection_dim": null });
    assert!(matches!(config(no_width), Err(Error::UnsupportedOption { .. })));
}

#[test]
fn unknown_options_are_errors() {
    for json in [json!({ "hiden_size": 768 }), json!({ "text_config": { "hiden_size": 768 } })] {
        match config(json) {
            Err(Error::UnknownOption { option, .. }) => assert_eq!(option, "hiden_size"),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(config(json!({ "text_config": [1] })), Err(Error::Corrupt { .. })));
}
