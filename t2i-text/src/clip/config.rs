//! The options of a CLIP text encoder, as `config.json` of transformers states them.

use serde_json::{Value, json};
use t2i_core::{Options, Result};

/// The shape of a CLIP text encoder.
///
/// ```
/// # use t2i_text::ClipTextConfig;
/// let encoder = ClipTextConfig::clip_l().init(&Default::default());
/// assert_eq!((encoder.vocab_size(), encoder.positions()), (49408, 77));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ClipTextConfig {
    /// The number of token ids.
    pub vocab_size: usize,
    /// The most tokens that a prompt may have.
    pub positions: usize,
    /// The width of the hidden states.
    pub hidden_size: usize,
    /// The width within the perceptron of a layer.
    pub intermediate_size: usize,
    /// The number of layers.
    pub layers: usize,
    /// The number of attention heads, which divides `hidden_size`.
    pub heads: usize,
    /// The non-linearity of the perceptron.
    pub activation: Activation,
    /// Added to the variance in every norm.
    pub layer_norm_eps: f64,
    /// How the token is found whose hidden state sums up the prompt.
    pub end_token: EndToken,
    /// The width of the projection of that hidden state, if the encoder has a projection.
    pub projection_dim: Option<usize>,
}

/// The non-linearity of a perceptron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x sigmoid(1.702 x)`: OpenAI's CLIP.
    QuickGelu,
    /// `x Phi(x)`, with the error function: OpenCLIP.
    Gelu,
}

/// How the end of a prompt is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndToken {
    /// The first of the highest ids. Configs say `"eos_token_id": 2` for it, for
    /// [historical reasons](https://github.com/huggingface/transformers/pull/24773).
    HighestId,
    /// The first token with this id; the first token of all, if there is none.
    Id(u32),
}

impl ClipTextConfig {
    /// CLIP ViT-L/14, the encoder of Stable Diffusion 1 and the first of Stable Diffusion XL.
    /// <https://huggingface.co/CompVis/stable-diffusion-v1-4/blob/main/text_encoder/config.json>
    pub fn clip_l() -> Self {
        Self {
            vocab_size: 49408,
            positions: 77,
            hidden_size: 768,
            intermediate_size: 3072,
            layers: 12,
            heads: 12,
            activation: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            end_token: EndToken::HighestId,
            projection_dim: None,
        }
    }

    /// OpenCLIP ViT-H/14 without its last layer, the encoder of Stable Diffusion 2.
    /// <https://huggingface.co/stabilityai/stable-diffusion-2-1/blob/main/text_encoder/config.json>
    pub fn open_clip_h() -> Self {
        Self {
            hidden_size: 1024,
            intermediate_size: 4096,
            layers: 23,
            heads: 16,
            activation: Activation::Gelu,
            ..Self::clip_l()
        }
    }

    /// OpenCLIP ViT-bigG/14, the second encoder of Stable Diffusion XL.
    /// <https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/text_encoder_2/config.json>
    pub fn open_clip_bigg() -> Self {
        Self {
            hidden_size: 1280,
            intermediate_size: 5120,
            layers: 32,
            heads: 20,
            activation: Activation::Gelu,
            projection_dim: Some(1280),
            ..Self::clip_l()
        }
    }

    /// Reads the config of a `CLIPTextModel`, a `CLIPTextModelWithProjection`, or the text half of a `CLIPModel`.
    ///
    /// # Errors
    /// If an option is unknown, of a wrong type, or has a value that is not supported.
    pub fn from_options(mut options: Options) -> Result<Self> {
        match options.peek("text_config").or(options.peek("text_config_dict")).is_some() {
            true => Self::from_nested(options),
            false => {
                let projection = Projection::of_architecture(&mut options)?;
                Self::from_flat(options, projection)
            }
        }
    }

    /// The text half of a `CLIPModel`, which has a projection. `text_config_dict` is the older name, and wins.
    fn from_nested(mut options: Options) -> Result<Self> {
        let newer: Option<Value> = options.get("text_config", None)?;
        let older: Option<Value> = options.get("text_config_dict", None)?;
        let dim = options.get("projection_dim", DEFAULT_PROJECTION)?;
        options.only("architectures", &[json!(["CLIPModel"]), Value::Null])?;
        options.only("model_type", &[json!("clip")])?;
        options.ignore(&["vision_config", "vision_config_dict", "logit_scale_init_value", "initializer_factor"]);
        options.ignore(NO_EFFECT);
        let origin = format!("{}, `text_config`", options.origin());
        options.finish()?;
        let mut text = Options::from_json(origin, older.or(newer).unwrap_or_else(|| json!({})))?;
        text.ignore(&["architectures"]);
        Self::from_flat(text, Projection::Dim(dim))
    }

    /// The defaults are those of `CLIPTextConfig`.
    fn from_flat(mut options: Options, projection: Projection) -> Result<Self> {
        let own_dim = options.get("projection_dim", Some(DEFAULT_PROJECTION))?;
        let config = Self {
            vocab_size: positive(&mut options, "vocab_size", 49408)?,
            positions: positive(&mut options, "max_position_embeddings", 77)?,
            hidden_size: positive(&mut options, "hidden_size", 512)?,
            intermediate_size: positive(&mut options, "intermediate_size", 2048)?,
            layers: positive(&mut options, "num_hidden_layers", 12)?,
            heads: positive(&mut options, "num_attention_heads", 8)?,
            activation: activation(&mut options)?,
            layer_norm_eps: layer_norm_eps(&mut options)?,
            end_token: end_token(&mut options)?,
            projection_dim: projection.dim(own_dim, &options)?,
        };
        if !config.hidden_size.is_multiple_of(config.heads) {
            let supported = format!("a divisor of hidden_size, {}", config.hidden_size);
            return Err(options.unsupported("num_attention_heads", &json!(config.heads), &supported));
        }
        options.only("model_type", &[json!("clip_text_model")])?;
        // Each of these would change the numbers.
        options.only("pruned_heads", &[json!({}), Value::Null])?;
        options.only("per_layer_config", &[json!({}), Value::Null])?;
        options.only("tie_last_hidden_states", &[json!(false), Value::Null])?;
        options.only("quantization_config", &[Value::Null])?;
        options.ignore(&["attention_dropout", "dropout", "initializer_factor", "initializer_range"]);
        options.ignore(NO_EFFECT);
        options.finish()?;
        Ok(config)
    }
}

/// The width of the projection where a config does not state it.
const DEFAULT_PROJECTION: usize = 512;

/// Whether the encoder has a projection, and of which width.
enum Projection {
    None,
    /// As wide as the encoder's own `projection_dim`.
    Own,
    Dim(usize),
}

impl Projection {
    fn of_architecture(options: &mut Options) -> Result<Self> {
        let names: Option<Vec<String>> = options.get("architectures", None)?;
        match names.unwrap_or_default().as_slice() {
            [] => Ok(Self::None),
            [name] if name == "CLIPTextModel" => Ok(Self::None),
            [name] if name == "CLIPTextModelWithProjection" => Ok(Self::Own),
            names => {
                let supported = "CLIPTextModel or CLIPTextModelWithProjection";
                Err(options.unsupported("architectures", &json!(names), supported))
            }
        }
    }

    fn dim(self, own: Option<usize>, options: &Options) -> Result<Option<usize>> {
        let dim = match self {
            Self::None => return Ok(None),
            Self::Own => own,
            Self::Dim(dim) => Some(dim),
        };
        match dim {
            Some(1..) => Ok(dim),
            _ => Err(options.unsupported("projection_dim", &json!(dim), "a positive number")),
        }
    }
}

fn positive(options: &mut Options, name: &str, default: usize) -> Result<usize> {
    match options.get(name, default)? {
        0 => Err(options.unsupported(name, &json!(0), "a positive number")),
        value => Ok(value),
    }
}

fn layer_norm_eps(options: &mut Options) -> Result<f64> {
    match options.get("layer_norm_eps", 1e-5)? {
        eps if eps > 0.0 => Ok(eps),
        other => Err(options.unsupported("layer_norm_eps", &json!(other), "a positive number")),
    }
}

fn activation(options: &mut Options) -> Result<Activation> {
    match options.get("hidden_act", "quick_gelu".to_owned())?.as_str() {
        "quick_gelu" => Ok(Activation::QuickGelu),
        "gelu" => Ok(Activation::Gelu),
        other => Err(options.unsupported("hidden_act", &json!(other), "\"quick_gelu\" or \"gelu\"")),
    }
}

fn end_token(options: &mut Options) -> Result<EndToken> {
    Ok(match options.get("eos_token_id", 49407)? {
        2 => EndToken::HighestId,
        id => EndToken::Id(id),
    })
}

/// What transformers 4 and 5 write into every config and what changes nothing about an encoder's outputs: how it was
/// made and stored, what its `forward` returns by default, and how a language model would generate text.
#[rustfmt::skip]
const NO_EFFECT: &[&str] = &[
    // The checkpoint.
    "name_or_path", "transformers_version", "tokenizer_class", "torch_dtype", "dtype", "is_local", "auto_map",
    // How the model runs.
    "attn_implementation", "experts_implementation", "chunk_size_feed_forward", "gradient_checkpointing",
    "output_attentions", "output_hidden_states", "return_dict", "tf_legacy_loss", "torchscript", "use_bfloat16",
    "use_cache", "xla_device",
    // Heads and halves that the encoder does not have.
    "add_cross_attention", "cross_attention_hidden_size", "decoder_start_token_id", "finetuning_task", "id2label",
    "is_decoder", "is_encoder_decoder", "label2id", "num_labels", "problem_type", "task_specific_params",
    "tie_encoder_decoder", "tie_word_embeddings",
    // Special tokens that the encoder does not look for.
    "bos_token_id", "pad_token_id", "prefix", "sep_token_id",
    // Generation.
    "assistant_confidence_threshold", "assistant_lookbehind", "bad_words_ids", "begin_suppress_tokens",
    "diversity_penalty", "do_sample", "early_stopping", "encoder_no_repeat_ngram_size", "encoder_repetition_penalty",
    "epsilon_cutoff", "eta_cutoff", "exponential_decay_length_penalty", "forced_bos_token_id", "forced_eos_token_id",
    "length_penalty", "max_length", "min_length", "no_repeat_ngram_size", "num_assistant_tokens",
    "num_assistant_tokens_schedule", "num_beam_groups", "num_beams", "num_return_sequences", "output_scores",
    "remove_invalid_values", "repetition_penalty", "return_dict_in_generate", "suppress_tokens", "target_lookbehind",
    "temperature", "top_k", "top_p", "typical_p",
];
