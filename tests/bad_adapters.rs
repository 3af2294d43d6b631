//! Whatever is wrong with a LoRA or a learned embedding gets a typed error that names the culprit, and leaves the pipeline
//! as it was.

mod support;

use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use support::{device, golden};
use t2i::core::Part;
use t2i::prelude::*;
use t2i::{Error, Lora};
use tempfile::TempDir;

// LoRAs

const QUERY: &str = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q";

#[test]
fn files_that_are_none() {
    assert!(matches!(lora(Path::new("no/such.safetensors")), Error::Io { .. }));
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in
        [("half.safetensors", half_a_file()), ("text.pt", b"hello".to_vec()), ("empty.bin", Vec::new())]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let error = lora(&path);
        assert!(matches!(&error, Error::Corrupt { path: culprit, .. } if *culprit == path), "{error}");
    }
}

#[test]
fn files_of_something_else() {
    let model = model("sd1").join("unet/diffusion_pytorch_model.safetensors");
    assert!(matches!(lora(&model), Error::UnusedTensors { .. }));
    let error = lora(&file("xl-word.safetensors"));
    assert!(matches!(&error, Error::UnusedTensors { tensors, .. } if tensors == &["clip_g", "clip_l"]), "{error}");
    let (_folder, path) = written(&[("<s1>", &[16])]);
    assert!(matches!(lora(&path), Error::UnusedTensors { .. }));
}

#[test]
fn a_lora_for_another_family() {
    let error = lora(&file("sdxl_kohya.safetensors"));
    assert!(matches!(error, Error::NoCounterpart { .. } | Error::TensorShape { .. }), "{error}");
    let (_folder, path) = halves("lora_te2_text_model_encoder_layers_0_mlp_fc1", 2, [96, 16]);
    let error = lora(&path);
    assert!(matches!(&error, Error::NoCounterpart { part: Part::TextEncoder2, .. }), "{error}");
    let mut xl = Pipeline::load(model("sdxl"), &device(), FloatDType::F32).expect("the tiny XL");
    let error = xl.load_lora(file("kohya.safetensors"), 1.0).expect_err("of Stable Diffusion 1");
    assert!(matches!(error, Error::NoCounterpart { .. } | Error::TensorShape { .. }), "{error}");
}

#[test]
fn a_layer_that_the_model_does_not_have() {
    let (_folder, path) = halves(&format!("unet.{}", QUERY.replace("to_q", "to_w")), 2, [24, 24]);
    let error = lora(&path);
    let near = |nearest: &Option<String>| nearest.as_deref().is_some_and(|near| near.starts_with("mid_block"));
    match &error {
        Error::NoCounterpart { tensor, part: Part::Unet, nearest, .. } if near(nearest) => {
            assert!(tensor.contains("to_w"), "{error}")
        }
        _ => panic!("{error}"),
    }
}

#[test]
fn a_layer_of_another_shape() {
    let (_folder, path) = halves(&format!("unet.{QUERY}"), 2, [24, 32]);
    let error = lora(&path);
    match &error {
        Error::TensorShape { tensor, expected, found, .. } => {
            assert!(tensor.ends_with("to_q.lora_down.weight"), "{error}");
            assert_eq!((expected.as_slice(), found.as_slice()), (&[2, 24][..], &[2, 32][..]));
        }
        _ => panic!("{error}"),
    }
    // Two halves of two ranks.
    let (down, up) = (format!("unet.{QUERY}.lora_A.weight"), format!("unet.{QUERY}.lora_B.weight"));
    let (_folder, path) = written(&[(&down, &[3, 24]), (&up, &[24, 2])]);
    let error = lora(&path);
    assert!(matches!(&error, Error::TensorShape { tensor, .. } if *tensor == up), "{error}");
}

#[test]
fn a_rank_of_0() {
    let (_folder, path) = halves(&format!("unet.{QUERY}"), 0, [24, 24]);
    let message = lora(&path).to_string();
    assert!(message.contains("rank 0") && message.contains("to_q"), "{message}");
}

#[test]
fn half_a_layer() {
    for (present, missing) in [("lora_down", "lora_up"), ("lora_up", "lora_down"), ("lora_A", "lora_B")] {
        let name = |half: &str| format!("unet.{QUERY}.{half}.weight");
        let (_folder, path) = written(&[(&name(present), &[2, 24])]);
        let error = lora(&path);
        assert!(matches!(&error, Error::MissingTensor { tensor, .. } if *tensor == name(missing)), "{error}");
    }
    let (_folder, path) = written(&[(&format!("unet.{QUERY}.alpha"), &[1])]);
    assert!(matches!(lora(&path), Error::MissingTensor { .. }));
}

#[test]
fn a_layer_under_two_names() {
    let flat = format!("lora_unet_{}", QUERY.replace('.', "_"));
    let names = [format!("unet.{QUERY}.lora_A.weight"), format!("{flat}.lora_down.weight")];
    let (_folder, path) = written(&[(&names[0], &[2, 24]), (&names[1], &[2, 24])]);
    assert!(matches!(lora(&path), Error::DuplicateTensor { .. }));
    let original = "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q";
    let all =
        [flat.as_str(), original].map(|stem| ["lora_down", "lora_up"].map(|half| format!("{stem}.{half}.weight")));
    let shapes: [&[usize]; 2] = [&[2, 24], &[24, 2]];
    let all: Vec<_> = all.iter().flat_map(|halves| halves.iter().map(String::as_str).zip(shapes)).collect();
    let (_folder, path) = written(&all);
    assert!(matches!(lora(&path), Error::DuplicateTensor { .. }));
}

#[test]
fn another_method() {
    for (end, kind) in [("hada_w1_a", "LoHa"), ("lokr_w1", "LoKr"), ("oft_blocks", "OFT"), ("diff", "difference")] {
        let (_folder, path) = written(&[(&format!("lora_unet_conv_in.{end}"), &[2, 24])]);
        let error = lora(&path);
        assert!(matches!(&error, Error::UnsupportedTensor { kind: found, .. } if found.contains(kind)), "{error}");
    }
}

#[test]
fn values_that_are_no_numbers() {
    let (down, up) = (format!("unet.{QUERY}.lora_A.weight"), format!("unet.{QUERY}.lora_B.weight"));
    let nan = TensorData::full::<f32, _>([2, 24], f32::NAN);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nan.safetensors");
    t2i::write_tensors(&path, &[(&down, nan), (&up, TensorData::ones::<f32, _>([24, 2]))]).expect("written");
    let error = lora(&path);
    assert!(matches!(&error, Error::TensorNotFinite { tensor, .. } if *tensor == down), "{error}");
    let (_folder, path) = halves(&format!("unet.{QUERY}"), 2, [24, 24]);
    for strength in [f64::NAN, f64::INFINITY] {
        let error = pipeline().load_lora(&path, strength).expect_err("no number");
        assert!(matches!(error, Error::InvalidValue { field: "strength", .. }), "{error}");
    }
}

#[test]
fn an_alpha_of_two_values() {
    let stem = format!("unet.{QUERY}");
    let names = ["lora_down.weight", "lora_up.weight", "alpha"].map(|end| format!("{stem}.{end}"));
    let (_folder, path) = written(&[(&names[0], &[2, 24]), (&names[1], &[24, 2]), (&names[2], &[2])]);
    let message = lora(&path).to_string();
    assert!(message.contains("alpha") && message.contains("2 values"), "{message}");
}

#[test]
fn a_failure_leaves_the_pipeline_as_it_was() {
    let mut pipeline = pipeline();
    let before = latents(&pipeline);
    // The text encoder's half is good, the UNet's is not; and the other way round.
    let text = "text_encoder.text_model.encoder.layers.0.mlp.fc1";
    for (first, second) in [((text, [48, 16]), (QUERY, [24, 32])), ((text, [48, 17]), (QUERY, [24, 24]))] {
        let names = [first.0.to_owned(), format!("unet.{}", second.0)];
        let all: Vec<_> =
            names.iter().flat_map(|stem| ["lora_A", "lora_B"].map(|half| format!("{stem}.{half}.weight"))).collect();
        let shapes = [[2, first.1[1]], [first.1[0], 2], [2, second.1[1]], [second.1[0], 2]];
        let tensors: Vec<_> = all.iter().map(String::as_str).zip(shapes.iter().map(|shape| &shape[..])).collect();
        let (_folder, path) = written(&tensors);
        pipeline.load_lora(path, 1.0).expect_err("one of two is wrong");
    }
    pipeline.load_lora(file("kohya.safetensors"), f64::NAN).expect_err("no strength");
    pipeline.load_embedding(file("xl-word.safetensors"), None).expect_err("of XL");
    assert_eq!(latents(&pipeline), before);
}

#[test]
fn a_strength_of_0_changes_nothing() {
    let mut pipeline = pipeline();
    let before = latents(&pipeline);
    pipeline.load_lora(file("kohya.safetensors"), 0.0).expect("a LoRA");
    assert_eq!(latents(&pipeline), before);
}

#[test]
fn half_precision_weights_keep_their_type() {
    let unet = t2i::unet::UNetConfig { cross_attention_dim: 16, ..t2i::unet::UNetConfig::sd15() };
    assert!(Lora::open(file("kohya.safetensors")).expect("a LoRA").check(Part::Unet, &unet.init(&device())).is_err());
    let mut pipeline = Pipeline::load(model("sd1"), &device(), FloatDType::BF16).expect("the tiny model");
    pipeline.load_lora(file("kohya.safetensors"), 1.0).expect("a LoRA");
    pipeline.load_embedding(file("learned_embeds.bin"), None).expect("a word");
    let request = Request { prompts: vec!["a <birb-style> horse".to_owned()], ..request() };
    assert_eq!(pipeline.generate(&request).expect("a picture").pixels.dims(), [1, 3, 16, 16]);
}

// Learned embeddings

#[test]
fn embeddings_that_are_none() {
    assert!(matches!(embedding(Path::new("no/such.pt"), None), Error::Io { .. }));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("half.safetensors");
    std::fs::write(&path, half_a_file()).expect("written");
    assert!(matches!(embedding(&path, None), Error::Corrupt { .. }));
    for (other, shape) in [("<word>", &[2, 3, 16][..]), ("<word>", &[0]), ("conv_in.weight", &[16, 16])] {
        let (_folder, path) = written(&[(other, shape)]);
        assert!(matches!(embedding(&path, None), Error::Corrupt { .. }), "{other} {shape:?}");
    }
    let lora = embedding(&file("kohya.safetensors"), None).to_string();
    assert!(lora.contains("not a learned embedding"), "{lora}");
    let (_folder, path) = written(&[("emb_params", &[2, 16]), ("other", &[16])]);
    let error = embedding(&path, None);
    assert!(matches!(&error, Error::UnusedTensors { tensors, .. } if tensors == &["other"]), "{error}");
}

#[test]
fn an_embedding_of_another_width() {
    let (_folder, path) = written(&[("<word>", &[768])]);
    let message = embedding(&path, None).to_string();
    assert!(message.contains("768") && message.contains("16 (text_encoder)"), "{message}");
    let message = embedding(&file("xl-word.safetensors"), None).to_string();
    assert!(message.contains("text_encoder_2") && message.contains("xl-word"), "{message}");
}

#[test]
fn a_word_that_exists() {
    let mut pipeline = pipeline();
    pipeline.load_embedding(file("learned_embeds.bin"), None).expect("a word");
    let again = pipeline.load_embedding(file("learned_embeds.bin"), None).expect_err("twice");
    assert!(
        matches!(&again, Error::InvalidValue { field: "token", value, .. } if value == "`<birb-style>`"),
        "{again}"
    );
    pipeline.load_embedding(file("learned_embeds.bin"), Some("<other>")).expect("another word");
    for token in ["<|startoftext|>", "<BIRB-style>", " ", ""] {
        let error = pipeline.load_embedding(file("learned_embeds.bin"), Some(token)).expect_err(token);
        assert!(matches!(&error, Error::InvalidValue { field: "token", .. }), "{error}");
    }
}

#[test]
fn an_embedding_that_is_no_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nan.safetensors");
    t2i::write_tensors(&path, &[("<word>", TensorData::full::<f32, _>([16], f32::NAN))]).expect("written");
    assert!(matches!(embedding(&path, None), Error::TensorNotFinite { .. }));
}

// Helpers

fn file(name: &str) -> PathBuf {
    golden().join("adapters/files").join(name)
}

fn model(name: &str) -> PathBuf {
    golden().join("pipelines").join(name)
}

fn pipeline() -> Pipeline {
    Pipeline::load(model("sd1"), &device(), FloatDType::F32).expect("the tiny model")
}

fn request() -> Request {
    Request { steps: Some(2), width: Some(16), height: Some(16), ..Request::new("a horse") }
}

fn latents(pipeline: &Pipeline) -> TensorData {
    pipeline.latents(&request()).expect("latents").into_data()
}

fn lora(path: &Path) -> Error {
    pipeline().load_lora(path, 1.0).expect_err("an error")
}

fn embedding(path: &Path, token: Option<&str>) -> Error {
    pipeline().load_embedding(path, token).expect_err("an error")
}

/// A file with tensors of ones.
fn written(tensors: &[(&str, &[usize])]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made.safetensors");
    let ones = |(name, shape): &(&str, &[usize])| ((*name).to_owned(), TensorData::ones::<f32, _>(shape.to_vec()));
    t2i::write_tensors(&path, &tensors.iter().map(ones).collect::<Vec<_>>()).expect("written");
    (folder, path)
}

/// A file with the change of one layer.
fn halves(stem: &str, rank: usize, [out, input]: [usize; 2]) -> (TempDir, PathBuf) {
    let names = ["lora_down", "lora_up"].map(|half| format!("{stem}.{half}.weight"));
    written(&[(&names[0], &[rank, input]), (&names[1], &[out, rank])])
}

fn half_a_file() -> Vec<u8> {
    let bytes = std::fs::read(file("kohya.safetensors")).expect("a file");
    bytes[..bytes.len() / 2].to_vec()
}
