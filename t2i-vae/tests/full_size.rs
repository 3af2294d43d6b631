//! Codecs of the published sizes have the parameters that diffusers counts, and cost nothing before they are loaded.

mod common;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use common::{numbers, options};
use serde_json::Value;
use t2i_vae::{AutoencoderKlConfig, AutoencoderTinyConfig, Codec, CodecConfig};

struct Count(usize);

impl ModuleVisitor for Count {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        assert!(!param.is_initialized(), "a full codec in memory");
        self.0 += param.lazy_shape().num_elements();
    }
}

fn parameters(codec: &Codec) -> usize {
    let mut count = Count(0);
    codec.visit(&mut count);
    count.0
}

fn config(json: &Value) -> CodecConfig {
    CodecConfig::from_options(options(json.clone())).expect("every option is supported")
}

#[test]
fn published_codecs_have_the_parameters_of_diffusers() {
    for (name, published) in numbers()["full_size"].as_object().expect("by name") {
        let codec = config(&published["config"]).init(&Device::flex());
        assert_eq!(Some(parameters(&codec) as u64), published["parameters"].as_u64(), "{name}");
        assert_eq!(codec.factor(), 8, "{name}");
    }
}

/// <https://github.com/madebyollin/taesd>: 34,163,592 and 49,490,179 without the two 1x1 convolutions, which have 92
/// parameters; 1,222,532 and 1,222,531.
#[test]
fn presets_have_the_published_numbers_of_parameters() {
    let count = |config: CodecConfig| parameters(&config.init(&Device::flex()));
    assert_eq!(count(CodecConfig::Kl(AutoencoderKlConfig::sd())), 83_653_863);
    assert_eq!(count(CodecConfig::Kl(AutoencoderKlConfig::sd())), 34_163_592 + 49_490_179 + 92);
    assert_eq!(count(CodecConfig::Tiny(AutoencoderTinyConfig::taesd())), 1_222_532 + 1_222_531);
}

#[test]
fn presets_are_the_published_configs() {
    let full = &numbers()["full_size"];
    let published = |name: &str| config(&full[name]["config"]);
    assert_eq!(CodecConfig::Kl(AutoencoderKlConfig::sd()), published("sd14"));
    assert_eq!(CodecConfig::Kl(AutoencoderKlConfig::sdxl()), published("sdxl"));
    assert_eq!(CodecConfig::Tiny(AutoencoderTinyConfig::taesd()), published("taesd"));
    assert_eq!(CodecConfig::Tiny(AutoencoderTinyConfig::taesd3()), published("taef1"));
}

/// Every option of diffusers' `__init__` is known, and an absent one has diffusers' default.
#[test]
fn defaults_are_those_of_diffusers() {
    for (class, all) in numbers()["defaults"].as_object().expect("by class") {
        let bare = serde_json::json!({ "_class_name": class });
        let mut spelled_out = all.clone();
        spelled_out["_class_name"] = bare["_class_name"].clone();
        assert_eq!(config(&spelled_out), config(&bare), "{class}");
    }
}

#[test]
fn xl_runs_in_f32_where_f16_is_asked_for() {
    let xl = CodecConfig::Kl(AutoencoderKlConfig::sdxl());
    assert_eq!(xl.dtype(FloatDType::F16), FloatDType::F32);
    assert_eq!(xl.dtype(FloatDType::BF16), FloatDType::BF16);
    let fixed = AutoencoderKlConfig { force_upcast: false, ..AutoencoderKlConfig::sdxl() };
    assert_eq!(fixed.dtype(FloatDType::F16), FloatDType::F16);
    assert_eq!(CodecConfig::Tiny(AutoencoderTinyConfig::taesd()).dtype(FloatDType::F16), FloatDType::F16);
}
