//! A batch in parts, computed side by side, is the batch as a whole.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};
use t2i_core::{Error, Result};
use t2i_sched::{Schedule, scaled_linear};
use t2i_train::{Batch, Report, Training, TrainingConfig, TrainingLevels};

/// The squared error of a linear map from 8 samples, in parts.
fn step(training: &mut Training<Linear>, samples: &Tensor<2>, parts: usize) -> Report {
    let loss = |x: Tensor<2>| {
        move |model: &Linear| -> Result<Tensor<1>> {
            let error = model.forward(x.clone()) - x.narrow(1, 0, 2);
            Ok(error.square().mean())
        }
    };
    training.step_in_shards(samples.clone().chunk(parts, 0).into_iter().map(loss).collect()).expect("a finite step")
}

fn model(device: &Device) -> Linear {
    device.seed(0);
    LinearConfig::new(5, 2).init(device)
}

fn weights(training: &Training<Linear>) -> Vec<f32> {
    training.model().weight.val().into_data().try_into_vec().expect("f32")
}

#[test]
fn parts_go_down_the_gradient_of_the_whole() {
    let device = Device::flex().autodiff();
    let model = model(&device);
    let samples = Tensor::random([8, 5], Distribution::Normal(0.0, 1.0), &device);
    let start = || Training::new(model.clone(), TrainingConfig::default()).expect("a sensible config");
    let mut trainings = [1, 2, 4, 4].map(|parts| (parts, start()));
    for _ in 0..20 {
        let reports = trainings.each_mut().map(|(parts, training)| step(training, &samples, *parts));
        for report in reports {
            assert!((report.loss - reports[0].loss).abs() < 1e-5 * reports[0].loss, "{reports:?}");
            assert!((report.gradient - reports[0].gradient).abs() < 1e-5 * reports[0].gradient, "{reports:?}");
        }
    }
    let [whole, two, four, again] = trainings.map(|(_, training)| weights(&training));
    assert!(whole.iter().zip(&two).all(|(a, b)| (a - b).abs() < 1e-5), "{whole:?} {two:?}");
    assert_eq!(four, again, "the order of the threads shows");
}

#[test]
fn a_part_that_fails_fails_the_step() {
    let device = Device::flex().autodiff();
    let mut training = Training::new(model(&device), TrainingConfig::default()).expect("a sensible config");
    let loss = |i: usize| {
        move |model: &Linear| match i {
            0 => Ok(model.weight.val().mean()),
            _ => Err(Error::NotFinite { stage: "the second part".to_owned(), latent: None }),
        }
    };
    let error = training.step_in_shards(vec![loss(0), loss(1)]).expect_err("an error").to_string();
    assert!(error.contains("the second part"), "{error}");
    assert_eq!(training.steps(), 0);
}

#[test]
fn a_batch_is_split_evenly_or_not_at_all() {
    let device = Device::flex();
    let levels = TrainingLevels::new(&Schedule::from_betas(&scaled_linear(0.00085, 0.012, 1000)));
    let x0 = Tensor::<4>::random([4, 1, 2, 2], Distribution::Default, &device);
    let captions: Vec<_> = (0..4).map(|i| vec![i]).collect();
    let batch = Batch { eps: x0.zeros_like(), x0, levels: levels.at(&[0, 1, 2, 3]), captions };
    let parts = batch.clone().split(2).expect("two of two");
    assert_eq!(parts[1].captions, [[2], [3]]);
    assert_eq!(parts[1].levels, levels.at(&[2, 3]));
    assert_eq!(parts[1].x0.to_data(), batch.x0.clone().narrow(0, 2, 2).to_data());
    for count in [0, 3, 8] {
        let error = batch.clone().split(count).expect_err("not even");
        assert!(matches!(&error, Error::InvalidValue { field: "shards", .. }), "{error}");
    }
}
