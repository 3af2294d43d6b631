//! Clipping and AdamW are torch's, on given gradients: `tests/golden/make_train.py` made the numbers.

mod golden;

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use golden::Golden;
use t2i_train::clip_global_norm;

const RATE: f64 = 1e-3;

#[derive(Module, Debug)]
struct Two {
    a: Param<Tensor<2>>,
    b: Param<Tensor<1>>,
}

/// Largest difference, of values up to about 3.
fn error(found: Vec<f32>, expected: Vec<f32>) -> f32 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|value| value.is_finite()));
    found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

/// Five steps: gradients above the norm and below it, some of 0, some of a millionth. The epsilon is 1e-8, so that
/// Burn's default of 1e-5 would show.
#[test]
fn five_steps() {
    let golden = Golden::open("train/adamw.safetensors");
    let device = Device::flex().autodiff();
    let mut module =
        Two { a: Param::from_tensor(golden.tensor("a", &device)), b: Param::from_tensor(golden.tensor("b", &device)) };
    let config = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.99).with_epsilon(1e-8).with_weight_decay(1e-2);
    let mut optimizer = config.init();
    for step in 0..5 {
        let of = |name: &str| golden.values(&format!("{step}.{name}"));
        let mut gradients = GradientsParams::new();
        gradients.register(module.a.id, golden.tensor::<2>(&format!("{step}.a.grad"), &Device::flex()));
        gradients.register(module.b.id, golden.tensor::<1>(&format!("{step}.b.grad"), &Device::flex()));
        let (clipped, norm) = clip_global_norm(gradients, &module, 1.0);
        let expected = f64::from(of("norm")[0]);
        assert!((norm - expected).abs() <= 1e-6 * expected, "{step}");
        let gradient = |id| values(clipped.get::<2>(id).expect("a gradient"));
        assert!(error(gradient(module.a.id), of("a.clipped")) <= 1e-6, "{step}");
        module = optimizer.step(RATE, module, clipped);
        // Of a step of about 1e-3: the last bit of a parameter.
        assert!(error(values(module.a.val()), of("a")) <= 3e-7, "{step}");
        assert!(error(values(module.b.val()), of("b")) <= 3e-7, "{step}");
    }
}
