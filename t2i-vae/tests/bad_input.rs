//! What cannot be served is refused by name.

mod common;

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use common::{codec, golden, options};
use serde_json::{Value, json};
use t2i_core::{Error, Options, Weights};
use t2i_vae::{Codec, CodecConfig};

fn case(name: &str) -> CodecConfig {
    let options = Options::read(&golden(name).join("config.json"));
    options.and_then(CodecConfig::from_options).expect("a golden config")
}

fn refusal(class: &str, option: &str, value: Value) -> String {
    let mut config = json!({ "_class_name": class });
    config[option] = value;
    CodecConfig::from_options(options(config)).expect_err(option).to_string()
}

#[test]
fn options_are_refused_by_name_with_what_is_supported() {
    let kl = [
        ("act_fn", json!("mish"), "silu"),
        ("latents_mean", json!([0.0]), "null"),
        ("latents_std", json!([1.0]), "null"),
        ("down_block_types", json!(["AttnDownEncoderBlock2D"]), "DownEncoderBlock2D"),
        ("up_block_types", json!(["UpDecoderBlock2D", "UpDecoderBlock2D"]), "once for each of the 1"),
        ("block_out_channels", json!([]), "norm_num_groups"),
        ("block_out_channels", json!([48]), "32"),
        ("norm_num_groups", json!(0), "above 0"),
        ("layers_per_block", json!(0), "above 0"),
        ("sample_size", json!("big"), "pixels"),
        ("scaling_factor", json!(0.0), "other than 0"),
        ("scaling_factor", json!(null), "f64"),
        ("sampel_size", json!(64), "sample_size"),
    ];
    for (option, value, hint) in kl {
        let message = refusal("AutoencoderKL", option, value);
        assert!(message.contains(option) && message.contains(hint), "{message}");
    }
    let tiny = [
        ("act_fn", json!("gelu"), "relu"),
        ("upsample_fn", json!("bilinear"), "nearest"),
        ("upsampling_scaling_factor", json!(3), "2"),
        ("encoder_block_out_channels", json!([32, 64, 64, 64]), "the same"),
        ("decoder_block_out_channels", json!([64, 64, 64]), "4 times"),
        ("num_encoder_blocks", json!([1, 3]), "num_decoder_blocks"),
        ("latent_chanels", json!(4), "latent_channels"),
    ];
    for (option, value, hint) in tiny {
        let message = refusal("AutoencoderTiny", option, value);
        assert!(message.contains(option) && message.contains(hint), "{message}");
    }
}

#[test]
fn another_class_is_refused_by_name() {
    let config = json!({ "_class_name": "VQModel" });
    let message = CodecConfig::from_options(options(config)).expect_err("a third codec").to_string();
    assert!(message.contains("VQModel") && message.contains("AutoencoderTiny"), "{message}");
    assert!(matches!(CodecConfig::from_options(options(json!({}))), Err(Error::MissingPart { .. })));
}

/// The tensors of a golden codec, changed.
fn edited(name: &str, edit: impl Fn(&str, TensorData) -> Option<(String, TensorData)>) -> Result<Codec, Error> {
    let weights = Weights::open(&golden(name).join("weights.safetensors")).expect("golden weights");
    let tensors = weights.names().filter_map(|n| edit(n, weights.read(n).expect("a golden tensor")));
    let weights = Weights::from_data("edited", tensors).expect("no duplicates");
    case(name).load(&weights, &Device::flex(), FloatDType::F32)
}

#[test]
fn wrong_tensors_are_named() {
    let name = "decoder.up_blocks.0.resnets.1.conv2.weight";
    let missing = edited("sd", |n, data| (n != name).then(|| (n.to_owned(), data)));
    assert!(matches!(missing, Err(Error::MissingTensor { tensor, .. }) if tensor == name));

    let extra = edited("tiny", |n, data| {
        Some((if n == "decoder.layers.0.bias" { "decoder.layers.99.bias" } else { n }.to_owned(), data))
    });
    assert!(matches!(extra, Err(Error::MissingTensor { tensor, .. }) if tensor == "decoder.layers.0.bias"));

    let name = "quant_conv.bias";
    let short = edited("sd", |n, data| {
        Some((n.to_owned(), if n == name { TensorData::new(vec![0f32; 7], [7]) } else { data }))
    });
    assert!(matches!(short, Err(Error::TensorShape { tensor, found, .. }) if tensor == name && found == [7]));
}

#[test]
fn tensors_of_another_codec_are_left_over() {
    let weights = Weights::open(&golden("sd").join("weights.safetensors")).expect("golden weights");
    let CodecConfig::Kl(mut config) = case("sd") else { panic!("an AutoencoderKL") };
    config.use_quant_conv = false;
    let unused = CodecConfig::Kl(config).load(&weights, &Device::flex(), FloatDType::F32);
    assert!(matches!(unused, Err(Error::UnusedTensors { tensors, .. }) if tensors[0].starts_with("quant_conv")));
}

#[test]
fn a_truncated_file_is_corrupt() {
    let bytes = std::fs::read(golden("sd").join("weights.safetensors")).expect("golden weights");
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile().expect("a file");
    std::fs::write(file.path(), &bytes[..bytes.len() / 2]).expect("written");
    assert!(matches!(Weights::open(file.path()), Err(Error::Corrupt { .. })));
}

/// Half of a golden codec under TAESD's own names: the decoder's layers are counted from its clamp.
fn taesd_file(half: &str, clamp: usize) -> Weights {
    let weights = Weights::open(&golden("tiny").join("weights.safetensors")).expect("golden weights");
    let own_name = |name: &str| {
        let (layer, rest) = name.strip_prefix(half)?.strip_prefix(".layers.")?.split_once('.')?;
        Some(format!("{}.{rest}", layer.parse::<usize>().ok()? + clamp))
    };
    weights.rename(own_name).expect("no duplicates")
}

#[test]
fn swapped_files_of_taesd_are_refused() {
    let CodecConfig::Tiny(config) = case("tiny") else { panic!("an AutoencoderTiny") };
    let (encoder, decoder) = (taesd_file("encoder", 0), taesd_file("decoder", 1));
    let load = |encoder, decoder| config.load_taesd(encoder, decoder, &Device::flex(), FloatDType::F32);
    let latent = Tensor::ones([1, 4, 3, 5], &Device::flex());
    let same = load(&encoder, &decoder).expect("TAESD's own names").decode(latent.clone());
    assert_eq!(same.into_data(), codec("tiny", FloatDType::F32).decode(latent).into_data());
    assert!(load(&decoder, &encoder).is_err());
}

#[test]
#[should_panic(expected = "assert_shape!(pixels")]
fn pictures_of_other_channels_panic() {
    codec("sd", FloatDType::F32).encode(Tensor::zeros([1, 4, 16, 16], &Device::flex()));
}

#[test]
#[should_panic(expected = "assert_shape!(latent")]
fn latents_of_other_channels_panic() {
    codec("tiny", FloatDType::F32).decode(Tensor::zeros([1, 16, 4, 4], &Device::flex()));
}

#[test]
#[should_panic(expected = "pixels are 16 x 1")]
fn pictures_smaller_than_a_cell_panic() {
    codec("sd", FloatDType::F32).encode(Tensor::zeros([1, 3, 1, 16], &Device::flex()));
}

#[test]
#[should_panic(expected = "assert_shape!(noise")]
fn noise_of_another_size_panics() {
    let posterior = codec("sd", FloatDType::F32).encode(Tensor::zeros([1, 3, 16, 16], &Device::flex()));
    posterior.sample(Tensor::zeros([1, 4, 4, 4], &Device::flex()));
}
