//! The published models as single files, by the names and shapes of their tensors; and a tiny one with values.
//!
//! The reference has taken the same tensors for its models: `tests/golden/make_core.py`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::{DType, TensorData};
use serde_json::Value;

use super::*;
use crate::Checkpoint;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/core")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(golden(name)).expect("golden data")
}

/// Undoes `front_coded` of the script.
fn names_and_shapes(name: &str) -> BTreeMap<String, Vec<usize>> {
    let mut before = String::new();
    let tensor = |line: &str| {
        let [shared, rest, shape] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        before.truncate(shared.parse().expect("a number"));
        before.push_str(rest);
        (before.clone(), shape.split('x').filter_map(|dim| dim.parse().ok()).collect())
    };
    read(name).lines().map(tensor).collect()
}

fn published(name: &str) -> SingleFile {
    let file = format!("{name}.txt");
    let weights = Weights::unreadable(names_and_shapes(&file), DType::F16);
    SingleFile::from_weights(&golden(&file), weights).expect("a checkpoint")
}

fn expected(name: &str) -> serde_json::Map<String, Value> {
    let all: Value = serde_json::from_str(&read("published.json")).expect("JSON");
    all[name].as_object().expect("parts").clone()
}

fn part(name: &str) -> Part {
    Part::ALL.into_iter().find(|part| part.name() == name).expect("a part")
}

/// FNV-1a, 64 bits, as in the script.
fn fnv(text: &str) -> String {
    let mix = |value: u64, byte: u8| (value ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
}

/// The attention of the codec stays a 1x1 convolution, which loading takes for a linear layer.
fn line(weights: &Weights, name: &str) -> String {
    let shape = weights.shape(name).expect("present");
    let shape = match shape {
        [out, input, 1, 1] if name.contains("mid_block.attentions") && weights.shape("conv_in.weight").is_none() => {
            &[*out, *input]
        }
        other => other,
    };
    let shape: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("{name} {}", shape.join("x"))
}

fn assert_published(name: &str, family: Family) {
    let file = published(name);
    assert_eq!(file.family(), family);
    for (part_name, expected) in expected(name) {
        let part = part(&part_name);
        let weights = file.weights(part).expect("present");
        let mut lines: Vec<_> = weights.names().map(|name| line(&weights, name)).collect();
        lines.sort();
        assert_eq!(lines.len(), expected["tensors"], "{name} {part}");
        assert_eq!(weights.parameters(), expected["parameters"], "{name} {part}");
        assert_eq!(fnv(&lines.join("\n")), expected["names and shapes"], "{name} {part}");
        let options = file.options(part).expect("inferred");
        for (option, value) in expected["config"].as_object().expect("options") {
            let inferred = options.peek(option).unwrap_or(&Value::Null);
            assert_eq!(inferred, value, "{name} {part} {option}");
        }
    }
}

/// The way back leads to where the way there began; and a layer is known by either name, dots or no dots.
#[test]
fn layers_of_unets_have_their_original_names_back() {
    for name in ["sd14", "sd14-inpainting", "sd21", "sdxl", "refiner"] {
        let local = published(name).local(Part::Unet).expect("present");
        let layout = unet::Layout::of(&local);
        let is_layer = |name: &&str| local.shape(name).is_some_and(|shape| shape.len() >= 2);
        let names = local.names().filter(is_layer).map(|ldm| ldm.strip_suffix(".weight").expect("a weight"));
        let there = |ldm: &str| unet::key(&format!("{ldm}.weight"), &layout).expect("of the layout");
        let layers: Vec<_> =
            names.map(|ldm| (ldm, there(ldm).strip_suffix(".weight").expect("a weight").to_owned())).collect();
        assert!(layers.len() > 200, "{name}: {}", layers.len());
        let model = ModelLayout::of(layers.iter().map(|(_, path)| path.as_str()));
        let mut flat = std::collections::BTreeSet::new();
        for (ldm, path) in &layers {
            assert_eq!(original(path, &model).as_deref(), Some(*ldm), "{name}");
            assert!(flat.insert(ldm.replace('.', "_")) && flat.insert(path.replace('.', "_")), "{name}: {path}");
        }
    }
}

#[test]
fn stable_diffusion_1() {
    assert_published("sd14", Family::Sd1);
    assert_eq!(published("sd14").in_channels(), 4);
    assert!(!published("sd14").has(Part::TextEncoder2));
}

#[test]
fn stable_diffusion_1_for_inpainting_with_the_older_names_of_its_text_encoder() {
    assert_published("sd14-inpainting", Family::Sd1);
    assert_eq!(published("sd14-inpainting").in_channels(), 9);
}

#[test]
fn stable_diffusion_2() {
    assert_published("sd21", Family::Sd2);
    let options = published("sd21").options(Part::Unet).expect("inferred");
    assert_eq!(options.peek("upcast_attention"), Some(&Value::Bool(true)));
}

#[test]
fn stable_diffusion_xl() {
    assert_published("sdxl", Family::SdXl);
}

#[test]
fn the_refiner() {
    assert_published("refiner", Family::SdXlRefiner);
    assert!(!published("refiner").has(Part::TextEncoder));
}

#[test]
fn a_unet_alone_tells_its_family() {
    for (name, family) in
        [("sd14", Family::Sd1), ("sd21", Family::Sd2), ("sdxl", Family::SdXl), ("refiner", Family::SdXlRefiner)]
    {
        let mut tensors = names_and_shapes(&format!("{name}.txt"));
        tensors.retain(|tensor, _| tensor.starts_with(UNET));
        let file = SingleFile::from_weights("test".as_ref(), Weights::unreadable(tensors, DType::F32));
        let file = file.expect("a checkpoint");
        assert_eq!(file.family(), family);
        let missing = file.weights(Part::Vae).expect_err("no codec");
        assert!(matches!(missing, Error::MissingPart { what, .. } if what.contains("vae")));
        let time_dim = file.options(Part::Unet).expect("inferred").peek("addition_time_embed_dim").cloned();
        assert_eq!(time_dim, matches!(family, Family::SdXl | Family::SdXlRefiner).then(|| 256.into()));
    }
}

#[test]
fn a_tensor_of_no_part_is_named() {
    let mut tensors = names_and_shapes("sd14.txt");
    tensors.insert("control_model.zero_convs.0.0.bias".to_owned(), vec![320]);
    let error = SingleFile::from_weights("test".as_ref(), Weights::unreadable(tensors, DType::F32));
    let error = error.expect_err("not of a Stable Diffusion").to_string();
    assert!(error.contains("control_model.zero_convs.0.0.bias"), "{error}");
}

#[test]
fn a_tensor_that_the_layout_does_not_have_keeps_its_name() {
    let mut tensors = names_and_shapes("sd14.txt");
    tensors.insert(format!("{UNET}input_blocks.1.0.in_layers.7.bias"), vec![320]);
    tensors.insert("first_stage_model.decoder.up.9.block.0.norm1.bias".to_owned(), vec![128]);
    let file = SingleFile::from_weights("test".as_ref(), Weights::unreadable(tensors, DType::F32));
    let file = file.expect("parts are known");
    let (unet, vae) = (file.weights(Part::Unet).expect("unet"), file.weights(Part::Vae).expect("vae"));
    assert!(unet.shape("input_blocks.1.0.in_layers.7.bias").is_some());
    assert!(vae.shape("decoder.up.9.block.0.norm1.bias").is_some());
}

#[test]
fn another_kind_of_file_is_no_checkpoint() {
    let tensors = BTreeMap::from([("emb_params".to_owned(), vec![1, 768])]);
    let error = SingleFile::from_weights("x.pt".as_ref(), Weights::unreadable(tensors, DType::F32));
    let error = error.expect_err("a learned embedding").to_string();
    assert!(error.contains("x.pt") && error.contains("emb_params"), "{error}");
}

#[test]
fn values_come_out_of_a_pickle_as_the_reference_has_them() {
    let checkpoint = Checkpoint::open(golden("tiny.ckpt")).expect("a checkpoint");
    assert_eq!(checkpoint.family(), Family::Sd2);
    assert!(checkpoint.is_inpainting());
    assert_eq!(checkpoint.prediction_type().expect("a scheduler"), "epsilon");
    let weights = checkpoint.weights(Part::TextEncoder).expect("a text encoder");
    let expected = Weights::open(&golden("tiny_text.safetensors")).expect("golden data");
    assert_eq!(weights.names().collect::<Vec<_>>(), expected.names().collect::<Vec<_>>());
    for name in weights.names() {
        assert_eq!(weights.read(name).expect("read"), expected.read(name).expect("read"), "{name}");
    }
    let unet = checkpoint.weights(Part::Unet).expect("a UNet");
    assert_eq!(unet.dtype("time_embedding.linear_1.weight"), Some(DType::F16));
}

#[test]
fn what_stands_beside_the_weights_is_found() {
    assert_eq!(pickled_number(&golden("tiny.ckpt"), "global_step"), Some(875_000));
    assert_eq!(pickled_number(&golden("tiny.ckpt"), "learning_rate"), None);
}

#[test]
fn rows_are_those_of_the_tensor() {
    let data = TensorData::from([[1f32, 2.], [3., 4.], [5., 6.]]);
    let weights = Weights::from_data("test", [("x".to_owned(), data)]).expect("one name");
    let second = weights.replace(|name, entry| Ok(vec![(name.to_owned(), entry.rows(1, 3).expect("three rows"))]));
    let second = second.expect("one name").read("x").expect("read");
    assert_eq!(second, TensorData::from([[3f32, 4.]]));
}
