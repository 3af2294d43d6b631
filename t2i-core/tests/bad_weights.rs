//! Every kind of broken weight file has its typed error, which names the culprit. Nothing panics.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, Param};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use t2i_core::{Checkpoint, Error, Part, Weights, inspect};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/core")).join(name)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn opened(name: &str, bytes: &[u8]) -> t2i_core::Result<Weights> {
    let folder = folder();
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("written");
    Weights::open(&path)
}

/// The bytes of a safetensors file with a header of our own.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn assert_corrupt(bytes: &[u8], word: &str) {
    let error = opened("x.safetensors", bytes).expect_err(word);
    assert!(matches!(&error, Error::Corrupt { path, .. } if path.ends_with("x.safetensors")), "{error:?}");
    assert!(error.to_string().contains(word), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    for name in ["none.safetensors", "none.ckpt", "none.safetensors.index.json"] {
        let error = Weights::open(Path::new(name)).expect_err("missing");
        assert!(matches!(&error, Error::Io { path, .. } if path == Path::new(name)), "{error:?}");
    }
}

#[test]
fn corrupt_safetensors_are_corrupt() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    assert_corrupt(b"", "too short");
    assert_corrupt(b"1234", "too short");
    assert_corrupt(&u64::MAX.to_le_bytes(), "claims");
    assert_corrupt(&safetensors("no json!", &[]), "header");
    assert_corrupt(&safetensors("[1, 2]", &[]), "header");
    assert_corrupt(&safetensors(&one("F32", "[2]", "[0,8]"), &[0; 7]), "bytes long");
    assert_corrupt(&safetensors(&one("F32", "[2]", "[0,8]"), &[0; 9]), "bytes long");
    assert_corrupt(&safetensors(&one("F32", "[3]", "[0,8]"), &[0; 8]), "header");
    assert_corrupt(&safetensors(&one("F32", "[2]", "[8,0]"), &[0; 8]), "header");
    assert_corrupt(&safetensors(&one("F32", "[18446744073709551615,2]", "[0,8]"), &[0; 8]), "header");
    assert_corrupt(&safetensors(&one("F33", "[2]", "[0,8]"), &[0; 8]), "header");
    let overlap = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                      "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    assert_corrupt(&safetensors(overlap, &[0; 12]), "header");
    let twice = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                    "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    assert_corrupt(&safetensors(twice, &[0; 8]), "header");
}

#[test]
fn every_truncation_is_an_error() {
    let whole = fs::read(golden("tiny_text.safetensors")).expect("golden data");
    for length in (0..whole.len()).step_by(97) {
        assert!(opened("x.safetensors", &whole[..length]).is_err(), "{length} bytes");
    }
}

/// A pickle may be cut or changed behind everything that counts; then it opens, and reading must not panic either.
#[test]
fn broken_pickles_do_not_panic() {
    let whole = fs::read(golden("tiny.ckpt")).expect("golden data");
    for length in (0..whole.len()).step_by(211) {
        assert!(opened("x.ckpt", &whole[..length]).is_err(), "{length} bytes");
    }
    let folder = folder();
    let path = folder.path().join("x.ckpt");
    for position in (0..whole.len()).step_by(89) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0xff;
        fs::write(&path, &bytes).expect("written");
        if let Ok(weights) = Weights::open(&path) {
            weights.names().for_each(|name| drop(weights.read(name)));
        }
    }
}

#[test]
fn what_is_no_pickle_is_corrupt() {
    for bytes in [&b""[..], b"hello", b"PK\x03\x04 no archive", &[0x80, 2, b'.']] {
        let error = opened("x.bin", bytes).expect_err("no pickle");
        assert!(matches!(&error, Error::Corrupt { path, .. } if path.ends_with("x.bin")), "{error:?}");
    }
}

/// Unpickling this in Python would call `os.system`.
#[test]
fn code_in_a_pickle_is_not_run() {
    let folder = folder();
    let proof = folder.path().join("proof");
    let pickle = format!("cos\nsystem\n(S'touch {}'\ntR.", proof.display());
    assert!(opened("x.pt", pickle.as_bytes()).is_err());
    assert!(!proof.exists());
}

// ---------------------------------------------------------------------------------------------------------------------
// Tensors that do not fit the module

#[derive(Module, Debug)]
struct Layer {
    norm: GroupNorm,
    proj: [Linear; 1],
    scale: Param<Tensor<1>>,
}

fn layer() -> Layer {
    let device = Device::flex();
    Layer {
        norm: GroupNormConfig::new(1, 2).init(&device),
        proj: [LinearConfig::new(2, 3).init(&device)],
        scale: Param::from_tensor(Tensor::zeros([1], &device)),
    }
}

fn tensors() -> Vec<(&'static str, TensorData)> {
    vec![
        ("norm.weight", TensorData::from([1f32, 2.])),
        ("norm.bias", TensorData::from([3f32, 4.])),
        ("proj.0.weight", TensorData::from([[1f32, 2.], [3., 4.], [5., 6.]])),
        ("proj.0.bias", TensorData::from([7f32, 8., 9.])),
        ("scale", TensorData::from([0.5f32])),
    ]
}

/// Loads the tensors with one of them replaced, or added.
fn loaded(name: &'static str, data: TensorData) -> t2i_core::Result<Layer> {
    let mut tensors = tensors();
    tensors.retain(|(other, _)| *other != name);
    tensors.push((name, data));
    load(tensors, FloatDType::F32)
}

fn load(tensors: Vec<(&'static str, TensorData)>, dtype: FloatDType) -> t2i_core::Result<Layer> {
    let named = tensors.into_iter().map(|(name, data)| (name.to_owned(), data));
    Weights::from_data("test file", named).and_then(|weights| weights.load(layer(), dtype))
}

#[test]
fn all_layouts_are_translated() {
    for dtype in [FloatDType::F32, FloatDType::F64, FloatDType::F16, FloatDType::BF16] {
        let layer = load(tensors(), dtype).expect("all fit");
        let [proj] = &layer.proj;
        assert_eq!(proj.weight.val().dtype(), dtype.into());
        let values = |data: TensorData| data.try_to_vec_as::<f32>().expect("floats");
        // Burn has `[in, out]`.
        assert_eq!(values(proj.weight.val().into_data()), [1., 3., 5., 2., 4., 6.]);
        assert_eq!(values(layer.norm.gamma.expect("affine").val().into_data()), [1., 2.]);
        assert_eq!(values(layer.norm.beta.expect("affine").val().into_data()), [3., 4.]);
    }
}

#[test]
fn a_pointwise_convolution_fits_a_linear_layer() {
    let data = TensorData::new(vec![1f32, 2., 3., 4., 5., 6.], [3, 2, 1, 1]);
    assert!(loaded("proj.0.weight", data).is_ok());
}

#[test]
fn a_missing_tensor_is_named_with_its_nearest() {
    let mut tensors = tensors();
    tensors[3].0 = "proj.0.bais";
    let error = load(tensors, FloatDType::F32).expect_err("a typo");
    assert!(matches!(&error, Error::MissingTensor { tensor, .. } if tensor == "proj.0.bias"), "{error:?}");
    assert!(error.to_string().contains("test file") && error.to_string().contains("proj.0.bais"), "{error}");
}

#[test]
fn a_tensor_that_is_left_is_named() {
    let error = loaded("proj.1.bias", TensorData::from([1f32])).expect_err("left");
    assert!(matches!(&error, Error::UnusedTensors { tensors, .. } if tensors == &["proj.1.bias"]), "{error:?}");
}

#[test]
fn another_shape_is_named_with_both() {
    let error = loaded("proj.0.weight", TensorData::from([[1f32, 2., 3.], [4., 5., 6.]])).expect_err("turned");
    let Error::TensorShape { tensor, expected, found, .. } = error else { panic!("{error:?}") };
    assert_eq!((tensor.as_str(), expected, found), ("proj.0.weight", vec![3, 2], vec![2, 3]));
}

#[test]
fn integers_are_no_weights() {
    let error = loaded("scale", TensorData::from([1i64])).expect_err("an integer");
    assert!(matches!(&error, Error::TensorType { tensor, .. } if tensor == "scale"), "{error:?}");
}

#[test]
fn nan_and_infinity_are_refused() {
    for bad in [f32::NAN, f32::INFINITY] {
        let error = loaded("norm.bias", TensorData::from([1., bad])).expect_err("not finite");
        assert!(matches!(&error, Error::TensorNotFinite { tensor, .. } if tensor == "norm.bias"), "{error:?}");
    }
    let mut tensors = tensors();
    tensors[4].1 = TensorData::from([1e6f32]);
    let error = load(tensors, FloatDType::F16).expect_err("too large for f16");
    assert!(matches!(&error, Error::TensorNotFinite { tensor, dtype: "f16", .. } if tensor == "scale"), "{error:?}");
}

#[test]
fn a_type_that_the_device_does_not_compute_in_is_refused() {
    let error = load(tensors(), FloatDType::Flex32).expect_err("no type of a CPU");
    assert!(matches!(&error, Error::InvalidValue { field: "dtype", value, .. } if value == "flex32"), "{error:?}");
    assert!(error.to_string().contains("f32 or f16 or bf16"), "{error}");
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let twice = ["a", "b"].map(|name| (name.to_owned(), TensorData::from([1f32])));
    let weights = Weights::from_data("test file", twice).expect("two names");
    let error = weights.rename(|_| Some("c".to_owned())).expect_err("one name");
    assert!(matches!(&error, Error::DuplicateTensor { tensor, .. } if tensor == "c"), "{error:?}");
}

// ---------------------------------------------------------------------------------------------------------------------
// Shards

const INDEX: &str = "diffusion_pytorch_model.safetensors.index.json";

/// A folder with two shards, of `a` and `b`, and an index of our own.
fn shards(index: &str) -> (TempDir, PathBuf) {
    let folder = folder();
    for name in ["a", "b"] {
        let path = folder.path().join(format!("{name}.safetensors"));
        t2i_core::write_tensors(path, &[(name, TensorData::from([1f32]))]).expect("written");
    }
    let path = folder.path().join(INDEX);
    fs::write(&path, index).expect("written");
    (folder, path)
}

#[test]
fn shards_are_one() {
    let (_folder, path) = shards(r#"{"metadata":{},"weight_map":{"a":"a.safetensors","b":"b.safetensors"}}"#);
    let weights = Weights::open(&path).expect("two shards");
    assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn bad_indexes_are_named() {
    let error = |index: &str| {
        let (_folder, path) = shards(index);
        Weights::open(&path).expect_err(index)
    };
    let missing = error(r#"{"weight_map":{"a":"a.safetensors","c":"c.safetensors"}}"#);
    assert!(matches!(&missing, Error::MissingPart { what, .. } if what.contains("c.safetensors")), "{missing:?}");
    let absent = error(r#"{"weight_map":{"a":"a.safetensors","c":"b.safetensors"}}"#);
    assert!(matches!(&absent, Error::MissingTensor { tensor, .. } if tensor == "c"), "{absent:?}");
    for corrupt in [r#"{"weight_map":{"a":"../a.safetensors"}}"#, r#"{"weight_map":[]}"#, "{}", "none"] {
        assert!(matches!(error(corrupt), Error::Corrupt { .. }), "{corrupt}");
    }
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let (folder, path) = shards(r#"{"weight_map":{"a":"a.safetensors","b":"b.safetensors"}}"#);
    let both = [("a", TensorData::from([1f32])), ("b", TensorData::from([1f32]))];
    t2i_core::write_tensors(folder.path().join("b.safetensors"), &both).expect("written");
    let error = Weights::open(&path).expect_err("twice");
    assert!(matches!(&error, Error::DuplicateTensor { tensor, .. } if tensor == "a"), "{error:?}");
}

// ---------------------------------------------------------------------------------------------------------------------
// Folders

/// A folder with a UNet of the given weight files, each with one tensor of its own name.
fn unet(files: &[&str]) -> TempDir {
    let folder = folder();
    let index = r#"{"_class_name":"StableDiffusionPipeline","unet":["diffusers","UNet2DConditionModel"],
                    "vae":["diffusers","AutoencoderKL"],"safety_checker":[null,null],"odd_flag":1}"#;
    fs::write(folder.path().join("model_index.json"), index).expect("written");
    fs::create_dir(folder.path().join("unet")).expect("made");
    fs::write(folder.path().join("unet/config.json"), r#"{"in_channels":9}"#).expect("written");
    for file in files {
        let path = folder.path().join("unet").join(file);
        t2i_core::write_tensors(path, &[(*file, TensorData::from([1f32]))]).expect("written");
    }
    folder
}

/// The file that the UNet's weights are taken from.
fn chosen(checkpoint: &Checkpoint) -> String {
    let weights = checkpoint.weights(Part::Unet).expect("weights");
    weights.names().next().expect("a tensor").to_owned()
}

const PLAIN: &str = "diffusion_pytorch_model.safetensors";
const FP16: &str = "diffusion_pytorch_model.fp16.safetensors";
const EMA: &str = "diffusion_pytorch_model.non_ema.safetensors";

#[test]
fn variants_are_found_and_chosen() {
    let open = |files: &[&str]| {
        let folder = unet(files);
        (Checkpoint::open(folder.path()).expect("a checkpoint"), folder)
    };
    let (both, _folder) = open(&[PLAIN, FP16, "diffusion_pytorch_model.bin"]);
    assert_eq!(chosen(&both), PLAIN);
    assert!(both.is_inpainting());
    assert_eq!(chosen(&both.clone().with_variant("fp16").expect("there")), FP16);
    let error = both.with_variant("fp61").expect_err("a typo");
    assert!(matches!(&error, Error::UnknownName { nearest, .. } if nearest == &["fp16"]), "{error:?}");

    let (one, _folder) = open(&[FP16]);
    assert_eq!(chosen(&one), FP16);

    let (two, _folder) = open(&[FP16, EMA]);
    let error = two.weights(Part::Unet).expect_err("which");
    assert!(error.to_string().contains("fp16, non_ema"), "{error}");
    assert_eq!(chosen(&two.with_variant("non_ema").expect("there")), EMA);
}

#[test]
fn what_a_folder_lacks_is_named() {
    let folder = unet(&[]);
    let checkpoint = Checkpoint::open(folder.path()).expect("a checkpoint");
    let what = |error: Error| match error {
        Error::MissingPart { what, .. } => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what(checkpoint.weights(Part::Unet).expect_err("no file")), format!("unet/{PLAIN}"));
    assert_eq!(what(checkpoint.weights(Part::Vae).expect_err("no folder")), "the folder `vae`");
    assert_eq!(what(checkpoint.options(Part::Scheduler).expect_err("no file")), "scheduler/scheduler_config.json");
    assert!(checkpoint.flag("odd_flag", true).expect_err("a number").to_string().contains("odd_flag"));
    assert!(checkpoint.flag("requires_safety_checker", true).expect("the default"));
    assert!(!checkpoint.has(Part::TextEncoder) && checkpoint.folder(Part::TextEncoder).is_none());

    let empty = tempfile::tempdir().expect("a folder");
    assert_eq!(what(Checkpoint::open(empty.path()).expect_err("empty")), "model_index.json");
    let report = inspect(folder.path()).expect("missing parts are no error");
    assert!(report.missing.iter().any(|what| what.contains("vae")), "{report}");
    assert!(report.parts.is_empty());
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let error = Checkpoint::open("not/there").expect_err("missing");
    assert!(matches!(&error, Error::Io { path, .. } if path == Path::new("not/there")), "{error:?}");
}

// ---------------------------------------------------------------------------------------------------------------------
// Real files

/// A folder of real weights beside the workspace, or a word that there is none.
fn reference(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/reference/weights")).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn real_pickles_open() {
    for (name, tensors) in [("taef2/taef2_decoder.pth", 40), ("taef2/taef2_encoder.pth", 40)] {
        let Some(path) = reference(name) else { return };
        let weights = Weights::open(&path).expect("a real file");
        assert!(weights.len() > tensors, "{name}: {}", weights.len());
        for tensor in weights.names() {
            let values: Vec<f32> = weights.read(tensor).expect("read").try_into_vec_as().expect("floats");
            assert!(values.iter().all(|value| value.is_finite()), "{tensor}");
        }
    }
    let Some(path) = reference("textual_inversion/learned_embeds.bin") else { return };
    let weights = Weights::open(&path).expect("a real file");
    assert_eq!(weights.shape("<birb-style>"), Some(&[768][..]));
}
