//! LoRAs on a small module: what is added by hand is what is added, and what is written is read.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use t2i_core::{Error, Family, LearnedEmbedding, LearnedVectors, Lora, LoraFormat, LoraLayer, Part, write_tensors};

#[derive(Module, Debug)]
struct Network {
    conv_in: Conv2d,
    time_embedding: Embedding,
}

#[derive(Module, Debug)]
struct Embedding {
    linear_1: Linear,
}

fn network() -> Network {
    network_on(&Device::flex())
}

fn network_on(device: &Device) -> Network {
    Network {
        conv_in: Conv2dConfig::new([1, 2], [2, 2]).init(device),
        time_embedding: Embedding { linear_1: LinearConfig::new(3, 2).init(device) },
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A LoRA of rank 1 for both layers, with alphas of 3 and 1.
fn file(folder: &Path) -> PathBuf {
    let path = folder.join("lora.safetensors");
    let tensor =
        |name: &str, values: Vec<f32>, shape: &[usize]| (name.to_owned(), TensorData::new(values, shape.to_vec()));
    let tensors = [
        tensor("lora_unet_conv_in.lora_down.weight", vec![1.0, 2.0, 3.0, 4.0], &[1, 1, 2, 2]),
        tensor("lora_unet_conv_in.lora_up.weight", vec![1.0, -1.0], &[2, 1, 1, 1]),
        tensor("lora_unet_conv_in.alpha", vec![3.0], &[]),
        tensor("lora_unet_time_embed_0.lora_down.weight", vec![1.0, 2.0, 3.0], &[1, 3]),
        tensor("lora_unet_time_embed_0.lora_up.weight", vec![10.0, 20.0], &[2, 1]),
        tensor("lora_unet_time_embed_0.alpha", vec![1.0], &[1]),
    ];
    write_tensors(&path, &tensors).expect("written");
    path
}

#[track_caller]
fn assert_close<const D: usize>(found: Tensor<D>, expected: &[f32]) {
    let found: Vec<f32> = found.cast(DType::F32).into_data().try_to_vec().expect("f32");
    assert_eq!(found.len(), expected.len());
    let close = |(a, b): (&f32, &f32)| a.is_finite() && (a - b).abs() <= 1e-5 * b.abs().max(1.0);
    assert!(found.iter().zip(expected).all(close), "{found:?} is not {expected:?}");
}

fn changes(before: &Network, after: &Network) -> (Tensor<4>, Tensor<2>) {
    let linear = |network: &Network| network.time_embedding.linear_1.weight.val();
    (after.conv_in.weight.val() - before.conv_in.weight.val(), linear(after) - linear(before))
}

#[test]
fn a_change_is_up_times_down_times_alpha_over_rank() {
    let folder = folder();
    let (before, lora) = (network(), Lora::open(file(folder.path())).expect("a LoRA"));
    let (conv, linear) = changes(&before, &lora.merge(Part::Unet, before.clone(), 0.5).expect("merged"));
    assert_close(conv, &[1.5, 3.0, 4.5, 6.0, -1.5, -3.0, -4.5, -6.0]);
    // [in, out]
    assert_close(linear, &[5.0, 10.0, 10.0, 20.0, 15.0, 30.0]);
    assert_eq!(lora.parts().into_iter().collect::<Vec<_>>(), [Part::Unet]);
}

#[test]
fn weights_keep_their_type_and_whether_they_are_trained() {
    let folder = folder();
    let lora = Lora::open(file(folder.path())).expect("a LoRA");
    let mut half = network();
    half.conv_in.weight = half.conv_in.weight.map(|weight| weight.cast(DType::F16));
    let merged = lora.merge(Part::Unet, half, 1.0).expect("merged");
    assert_eq!(merged.conv_in.weight.val().dtype(), DType::F16);

    let trained = network_on(&Device::flex().autodiff());
    assert!(trained.conv_in.weight.val().is_require_grad());
    let frozen = lora.merge(Part::Unet, trained.clone().no_grad(), 1.0).expect("merged");
    assert!(!frozen.conv_in.weight.val().is_require_grad());
    let merged = lora.merge(Part::Unet, trained, 1.0).expect("merged");
    assert!(merged.conv_in.weight.val().is_require_grad());
    // A weight that is the result of something has no gradient of its own.
    let gradients = merged.conv_in.weight.val().sum().backward();
    assert!(merged.conv_in.weight.val().grad(&gradients).is_some());
}

#[test]
fn what_is_written_is_read() {
    let folder = folder();
    let layers = [
        LoraLayer {
            part: Part::Unet,
            path: "conv_in".to_owned(),
            down: TensorData::new(vec![1f32, 2.0, 3.0, 4.0], [1, 1, 2, 2]),
            up: TensorData::new(vec![1f32, -1.0], [2, 1, 1, 1]),
            alpha: 3.0,
        },
        LoraLayer {
            part: Part::Unet,
            path: "time_embedding.linear_1".to_owned(),
            down: TensorData::new(vec![1f32, 2.0, 3.0], [1, 3]),
            up: TensorData::new(vec![10f32, 20.0], [2, 1]),
            alpha: 1.0,
        },
    ];
    for format in [LoraFormat::Diffusers, LoraFormat::Kohya(Family::Sd1), LoraFormat::Kohya(Family::SdXl)] {
        let path = folder.path().join("written.safetensors");
        format.write(&path, &layers, FloatDType::F16).expect("written");
        let (before, lora) = (network(), Lora::open(&path).expect("a LoRA"));
        let (conv, linear) = changes(&before, &lora.merge(Part::Unet, before.clone(), 0.5).expect("merged"));
        assert_close(conv, &[1.5, 3.0, 4.5, 6.0, -1.5, -3.0, -4.5, -6.0]);
        assert_close(linear, &[5.0, 10.0, 10.0, 20.0, 15.0, 30.0]);
    }
    let write = |layers: &[LoraLayer], path: &str| {
        LoraFormat::Diffusers.write(folder.path().join(path), layers, FloatDType::F32)
    };
    assert!(matches!(write(&[], "empty"), Err(Error::Corrupt { .. })));
    assert!(matches!(write(&layers, "no/folder"), Err(Error::Io { .. })));
    assert!(matches!(write(&[layers[0].clone(), layers[0].clone()], "twice"), Err(Error::DuplicateTensor { .. })));
    let unfit = LoraLayer { up: layers[1].down.clone(), ..layers[1].clone() };
    assert!(write(&[unfit], "unfit").expect_err("two ranks").to_string().contains("time_embedding.linear_1"));
}

#[test]
fn words_are_written_as_diffusers_and_trainers_of_xl_write_them() {
    let folder = folder();
    let vectors = |encoder| LearnedVectors { encoder, values: TensorData::from([[1f32, 2.0], [3.0, 4.0]]) };
    let word = |vectors| LearnedEmbedding { origin: "test".to_owned(), token: "<word>".to_owned(), vectors };
    let path = folder.path().join("<word>.safetensors");
    for vectors in [vec![vectors(None)], vec![vectors(Some(Part::TextEncoder)), vectors(Some(Part::TextEncoder2))]] {
        let word = word(vectors);
        word.write(&path).expect("written");
        let read = LearnedEmbedding::open(&path, None).expect("read");
        assert_eq!((read.token, read.vectors), (word.token, word.vectors));
    }
    assert!(word(Vec::new()).write(&path).is_err());
    assert!(word(vec![vectors(None), vectors(None)]).write(&path).is_err());
}
