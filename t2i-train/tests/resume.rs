//! A training that is stopped and resumed is the training that is not.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Distribution, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use t2i_core::{Checkpoint, Error, Part, Result, Weights};
use t2i_sched::{Prediction, Schedule};
use t2i_text::ClipTextConfig;
use t2i_train::{
    Batch, Conditioned, DiffusionLoss, Report, Training, TrainingConfig, TrainingLevels, Weighting, step_noise,
};
use t2i_unet::UNetConfig;

fn checkpoint() -> Checkpoint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/pipelines/sd1");
    Checkpoint::open(path).expect("the golden checkpoint")
}

/// Random weights, other ones at every call.
fn model() -> Conditioned {
    let device = Device::flex().autodiff();
    let options = |part| checkpoint().options(part).expect("a config");
    let unet = UNetConfig::from_options(options(Part::Unet)).expect("supported").init(&device);
    let text_encoder = ClipTextConfig::from_options(options(Part::TextEncoder)).expect("supported").init(&device);
    Conditioned { unet, text_encoder }
}

fn training() -> Training<Conditioned> {
    Training::new(model(), TrainingConfig::default()).expect("a sensible config")
}

fn step(training: &mut Training<Conditioned>) -> Result<Report> {
    let device = Device::flex().autodiff();
    let levels = TrainingLevels::new(&Schedule::stable_diffusion());
    let objective = DiffusionLoss { prediction: Prediction::Epsilon, weighting: Weighting::Uniform };
    training.step(|model, step| {
        let shape = [2, 4, 8, 8];
        let (x0, eps) = (step_noise(1, step, shape, &device), step_noise(2, step, shape, &device));
        let levels = levels.sample(2, &mut ChaCha8Rng::seed_from_u64(step));
        let captions = vec![vec![3, 4, 5, 2], vec![6, 7, 2, 2]];
        Ok(model.loss(&objective, Batch { x0, eps, levels, captions }))
    })
}

fn steps(training: &mut Training<Conditioned>, n: usize) {
    for _ in 0..n {
        step(training).expect("a finite step");
    }
}

/// Every weight, and every running mean.
fn bits(training: &Training<Conditioned>) -> Vec<Vec<u8>> {
    let of = |model: &Conditioned| {
        let weights = Weights::from_module("model", model).expect("distinct names");
        let names: Vec<_> = weights.names().map(str::to_owned).collect();
        names.into_iter().map(move |name| weights.read(&name).expect("in memory").as_bytes().to_vec())
    };
    of(training.model()).chain(of(&training.averaged())).collect()
}

/// A folder with a training of three steps.
fn saved() -> (tempfile::TempDir, Training<Conditioned>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut training = training();
    steps(&mut training, 3);
    training.save(folder.path(), &json!({ "seed": 1 })).expect("saved");
    (folder, training)
}

fn only_step(folder: &Path) -> PathBuf {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("listed").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}

#[test]
fn resumed_is_as_if_never_stopped() {
    let (folder, mut through) = saved();
    let mut resumed = training();
    assert!(bits(&resumed) != bits(&through), "two models have the same random weights");
    assert!(resumed.resume(folder.path(), &json!({ "seed": 1 })).expect("resumed"));
    assert_eq!(resumed.steps(), 3);
    steps(&mut through, 3);
    steps(&mut resumed, 3);
    assert!(bits(&resumed) == bits(&through), "some weights differ");
}

#[test]
fn saving_again_leaves_the_last_step_only() {
    let (folder, mut training) = saved();
    steps(&mut training, 1);
    training.save(folder.path(), &json!({ "seed": 1 })).expect("saved");
    assert!(only_step(folder.path()).ends_with("step-000000004"));
}

#[test]
fn an_empty_folder_is_a_beginning() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(!training().resume(folder.path(), &json!({})).expect("nothing there"));
    assert!(!training().resume(folder.path().join("not/there"), &json!({})).expect("nothing there"));
}

#[test]
fn another_recipe_is_refused_by_name() {
    let (folder, _) = saved();
    let error = training().resume(folder.path(), &json!({ "seed": 2 })).expect_err("another seed").to_string();
    assert!(error.contains("`seed` = 1, not 2"), "{error}");
}

#[test]
fn a_save_that_was_interrupted_is_not_resumed_from() {
    let (folder, _) = saved();
    let part = folder.path().join("step-000000009.part");
    fs::create_dir(&part).expect("a folder");
    fs::write(part.join("model.safetensors"), "half").expect("written");
    let mut resumed = training();
    resumed.resume(folder.path(), &json!({ "seed": 1 })).expect("resumed");
    assert_eq!(resumed.steps(), 3);
}

/// What is in the way stands for a full disk: the new step cannot be written.
#[test]
fn a_failed_save_leaves_the_step_before() {
    let (folder, mut training) = saved();
    steps(&mut training, 1);
    fs::write(folder.path().join("step-000000004.part"), "in the way").expect("written");
    let error = training.save(folder.path(), &json!({ "seed": 1 })).expect_err("not writable");
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let mut resumed = self::training();
    resumed.resume(folder.path(), &json!({ "seed": 1 })).expect("resumed");
    assert_eq!(resumed.steps(), 3);
}

#[test]
fn broken_files_are_named() {
    for name in ["model.safetensors", "mean.safetensors", "optimizer.bpk", "training.json"] {
        let (folder, _) = saved();
        let file = only_step(folder.path()).join(name);
        fs::write(&file, "not what it was").expect("written");
        let error = training().resume(folder.path(), &json!({ "seed": 1 })).expect_err("broken").to_string();
        assert!(error.contains(name), "{name}: {error}");
        fs::remove_file(&file).expect("removed");
        let error = training().resume(folder.path(), &json!({ "seed": 1 })).expect_err("missing").to_string();
        assert!(error.contains(name), "{name}: {error}");
    }
}

#[test]
fn a_loss_that_is_none_changes_nothing() {
    let mut training = training();
    let before = bits(&training);
    let nan = |model: &Conditioned, _| {
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::random([1, 4, 8, 8], Distribution::Normal(0.0, 1.0), &device);
        let context = Tensor::<3>::zeros([1, 2, 16], &device);
        let conditioning = t2i_unet::Conditioning::text(context);
        Ok(model.unet.forward(x, Tensor::zeros([1], &device), &conditioning).mean() * f64::NAN)
    };
    let error = training.step(nan).expect_err("NaN").to_string();
    assert!(error.contains("training step 0"), "{error}");
    assert!(bits(&training) == before, "some weights changed");
    assert_eq!(training.steps(), 0);
}
