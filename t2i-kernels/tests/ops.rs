//! Operations by kernels, and their gradients, are Burn's.
#![cfg(all(feature = "flex", feature = "autodiff"))]
#![allow(clippy::unwrap_used)]

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNormConfig, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{self, gelu};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use t2i_kernels::ops::{self, Activation, Sight};

/// Of the largest value.
const TOLERANCE: f32 = 1e-5;

fn random<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
}

fn assert_close(what: &str, found: TensorData, expected: TensorData) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let [found, expected]: [Vec<f32>; 2] = [found, expected].map(|data| data.try_into_vec().unwrap());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let error = found.iter().zip(&expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(found.iter().all(|value| value.is_finite()), "{what}");
    assert!(error <= TOLERANCE * largest, "{what}: {error:e} of {largest}");
}

/// Compares results, and the gradients that `of` picks, of a sum with random weights.
fn compare<const D: usize>(what: &str, [fast, plain]: [Tensor<D>; 2], of: impl Fn(&Gradients) -> Vec<TensorData>) {
    assert_close(what, fast.to_data(), plain.to_data());
    let weights = random(9, fast.dims());
    let gradients = [fast, plain].map(|result| of(&(result * weights.clone()).sum().backward()));
    let [fast, plain] = gradients;
    for (i, (fast, plain)) in fast.into_iter().zip(plain).enumerate() {
        assert_close(&format!("{what}, gradient {i}"), fast, plain);
    }
}

fn grad<const D: usize>(x: &Tensor<D>, gradients: &Gradients) -> TensorData {
    x.grad(gradients).unwrap().to_data()
}

#[test]
fn activations() {
    let x = random(0, [2, 3, 14]) * 5.0;
    let x = Tensor::<3>::from_data(x.to_data(), &x.device()).require_grad();
    compare("SiLU", [ops::silu(x.clone()), activation::silu(x.clone())], |g| vec![grad(&x, g)]);
    compare("GELU", [ops::gelu(x.clone()), gelu(x.clone())], |g| vec![grad(&x, g)]);
    let plain = x.clone() * activation::sigmoid(x.clone() * 1.702);
    compare("quick GELU", [ops::quick_gelu(x.clone()), plain], |g| vec![grad(&x, g)]);
    let plain = x.clone().narrow(2, 0, 7) * gelu(x.clone().narrow(2, 7, 7));
    compare("GEGLU", [ops::geglu(x.clone()), plain], |g| vec![grad(&x, g)]);
}

#[test]
fn norms() {
    let x = random(1, [2, 6, 5, 3]);
    let norm = GroupNormConfig::new(3, 6).with_epsilon(1e-4).init(&x.device());
    let weights = |g: &Gradients| {
        let (gamma, beta) = (norm.gamma.as_ref().unwrap().val(), norm.beta.as_ref().unwrap().val());
        vec![grad(&x, g), grad(&gamma, g), grad(&beta, g)]
    };
    compare("group norm", [ops::group_norm(&norm, x.clone()), norm.forward(x.clone())], weights);
    let plain = activation::silu(norm.forward(x.clone()));
    compare("group norm and SiLU", [ops::group_norm_silu(&norm, x.clone()), plain], weights);
    let x = random(2, [2, 4, 10]);
    let norm = LayerNormConfig::new(10).with_epsilon(1e-4).init(&x.device());
    compare("layer norm", [ops::layer_norm(&norm, 1e-4, x.clone()), norm.forward(x.clone())], |g| {
        vec![grad(&x, g), grad(&norm.gamma.val(), g), grad(&norm.beta.as_ref().unwrap().val(), g)]
    });
}

#[test]
fn linear_layers() {
    let x = random(3, [2, 5, 7]);
    for bias in [true, false] {
        let layer = LinearConfig::new(7, 9).with_bias(bias).init(&x.device());
        compare("linear", [ops::linear(&layer, x.clone()), layer.forward(x.clone())], |g| {
            let bias = layer.bias.as_ref().map(|bias| grad(&bias.val(), g));
            [grad(&x, g), grad(&layer.weight.val(), g)].into_iter().chain(bias).collect()
        });
    }
}

#[test]
fn convolutions() {
    let all = |conv: &Conv2d, x: &Tensor<4>| {
        compare("conv", [ops::conv2d(conv, x.clone()), conv.forward(x.clone())], |g| {
            vec![grad(x, g), grad(&conv.weight.val(), g), grad(&conv.bias.as_ref().unwrap().val(), g)]
        });
    };
    for [height, width] in [[1, 1], [2, 3], [4, 4], [9, 17], [16, 16]] {
        let x = random(4, [2, 3, height, width]);
        let same = PaddingConfig2d::Explicit(1, 1, 1, 1);
        all(&Conv2dConfig::new([3, 5], [3, 3]).with_padding(same.clone()).init(&x.device()), &x);
        // These have no gradient by a kernel and take Burn's way.
        all(&Conv2dConfig::new([3, 5], [1, 1]).init(&x.device()), &x);
        all(&Conv2dConfig::new([3, 5], [3, 3]).with_stride([2, 2]).with_padding(same).init(&x.device()), &x);
    }
}

/// Without gradients every window has a kernel, with a bias or without.
#[test]
fn windows_of_convolutions() {
    let x = random(4, [2, 3, 9, 10]).inner();
    let padded = |top, left, bottom, right| PaddingConfig2d::Explicit(top, left, bottom, right);
    let cases = [
        (1, 1, PaddingConfig2d::Valid),
        (3, 1, PaddingConfig2d::Valid),
        (3, 1, PaddingConfig2d::Same),
        (5, 1, PaddingConfig2d::Same),
        (3, 2, padded(0, 0, 1, 1)),
        (3, 2, padded(1, 1, 1, 1)),
        (4, 3, padded(2, 0, 1, 3)),
    ];
    for (kernel, stride, padding) in cases {
        for bias in [true, false] {
            let conv = Conv2dConfig::new([3, 5], [kernel, kernel]).with_stride([stride, stride]).with_bias(bias);
            let conv = conv.with_padding(padding.clone()).init(&x.device());
            let what = format!("{kernel} by {stride}, {padding:?}");
            assert_close(&what, ops::conv2d(&conv, x.clone()).to_data(), conv.forward(x.clone()).to_data());
        }
    }
}

/// Weights of halves give what the same weights give in 32 bits, also where they are views as checkpoints have them.
#[test]
fn halves_are_widened() {
    let x = random(3, [2, 5, 7]).inner();
    let picture = random(4, [2, 3, 9, 10]).inner();
    let device = x.device();
    for dtype in [DType::F16, DType::BF16] {
        let weight = |device: &Device| Tensor::<1>::ones([1], device).cast(dtype);
        assert_eq!(ops::arithmetic(&weight(&device)), DType::F32);
        assert_eq!(ops::arithmetic(&weight(&device.clone().autodiff())), dtype);
        let linear = LinearConfig::new(7, 9).init(&device);
        let view = linear.weight.val().swap_dims(0, 1).cast(dtype).swap_dims(0, 1);
        for weight in [linear.weight.val().cast(dtype), view] {
            let of = |dtype| Linear {
                weight: Param::from_tensor(weight.clone().cast(dtype)),
                bias: linear.bias.as_ref().map(|bias| Param::from_tensor(bias.val().cast(DType::BF16).cast(dtype))),
            };
            let [half, whole] = [dtype, DType::F32].map(|dtype| ops::linear(&of(dtype), x.clone()).into_data());
            assert_close("linear", half, whole.clone());
            assert_close("linear by Burn", whole, of(DType::F32).forward(x.clone()).into_data());
        }
        let conv = Conv2dConfig::new([3, 5], [3, 3]).with_padding(PaddingConfig2d::Same).init(&device);
        let of = |to: DType| {
            let mut conv = conv.clone();
            conv.weight = Param::from_tensor(conv.weight.val().cast(dtype).cast(to));
            conv
        };
        let [half, whole] = [dtype, DType::F32].map(|dtype| ops::conv2d(&of(dtype), picture.clone()).into_data());
        assert_close("conv", half, whole);
    }
}

/// Memory of results is used again: what it held before must not be seen.
#[test]
fn results_do_not_depend_on_what_memory_held() {
    let soil = |shape: [usize; 4]| drop(ops::silu(Tensor::<4>::full(shape, f32::NAN, &Device::flex())));
    let x = random(1, [2, 32, 40, 40]).inner();
    let tokens = random(2, [2, 1600, 32]).inner();
    let device = x.device();
    let norm = GroupNormConfig::new(4, 32).init(&device);
    let linear = LinearConfig::new(32, 32).init(&device);
    let conv =
        |kernel: usize| Conv2dConfig::new([32, 32], [kernel, kernel]).with_padding(PaddingConfig2d::Same).init(&device);
    let (small, large) = (conv(1), conv(3));
    let results: [&dyn Fn() -> TensorData; 6] = [
        &|| ops::silu(x.clone()).into_data(),
        &|| ops::group_norm_silu(&norm, x.clone()).into_data(),
        &|| ops::linear(&linear, tokens.clone()).into_data(),
        &|| ops::conv2d(&small, x.clone()).into_data(),
        &|| ops::conv2d(&large, x.clone()).into_data(),
        &|| ops::attention(&tokens, &tokens, &tokens, 4, Sight::All).unwrap().into_data(),
    ];
    for (i, result) in results.iter().enumerate() {
        let first = result();
        soil(x.dims());
        assert_close(&format!("operation {i}"), result(), first);
    }
}

#[test]
fn attention() {
    for (tokens, context, sight) in [(6, 6, Sight::All), (5, 77, Sight::All), (1, 3, Sight::All), (9, 9, Sight::Past)] {
        let (q, k, v) = (random(5, [2, tokens, 12]), random(6, [2, context, 12]), random(7, [2, context, 12]));
        let fast = ops::attention(&q, &k, &v, 3, sight).unwrap();
        let heads = |x: &Tensor<3>| x.clone().reshape([0, 0, 3, 4]).swap_dims(1, 2);
        let mut scores = heads(&q).matmul(heads(&k).transpose()) / 2.0;
        if sight == Sight::Past {
            let later = Tensor::<2, burn::tensor::Bool>::tril_mask([tokens, context], 0, &q.device());
            let shape = scores.dims();
            scores = scores.mask_fill(later.unsqueeze::<4>().expand(shape), f32::NEG_INFINITY);
        }
        let plain = activation::softmax(scores, 3).matmul(heads(&v)).swap_dims(1, 2).reshape([2, tokens, 12]);
        compare("attention", [fast, plain], |g| vec![grad(&q, g), grad(&k, g), grad(&v, g)]);
    }
}

#[test]
fn layers_of_one_input_are_those_layers() {
    for (device, tokens) in [(Device::flex(), 5), (Device::flex(), 300), (Device::flex().autodiff(), 5)] {
        let layers: [Linear; 3] = [50, 6, 33].map(|outputs| LinearConfig::new(7, outputs).init(&device));
        let x = Tensor::<3>::from_data(random::<3>(0, [2, tokens, 7]).to_data(), &device);
        let found = ops::linears(layers.each_ref(), x.clone());
        for (found, layer) in found.into_iter().zip(&layers) {
            assert_close("layers of one input", found.into_data(), layer.forward(x.clone()).into_data());
        }
    }
}

#[test]
fn perceptrons_are_two_layers() {
    for (i, activation) in [Activation::Silu, Activation::Gelu, Activation::QuickGelu].into_iter().enumerate() {
        // A device without gradients has a kernel, one with them the composition; 600 rows are many, 10 few.
        for (device, tokens) in [(Device::flex(), 5), (Device::flex(), 300), (Device::flex().autodiff(), 5)] {
            let layer = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
            let (first, second) = (layer(7, 50), layer(50, 6));
            let x = Tensor::<3>::from_data(random::<3>(i as u64, [2, tokens, 7]).to_data(), &device);
            let between = ops::linear(&first, x.clone());
            let between = match activation {
                Activation::Silu => activation::silu(between),
                Activation::Gelu => gelu(between),
                Activation::QuickGelu => between.clone() * activation::sigmoid(between * 1.702),
            };
            let found = ops::perceptron(&first, activation, &second, x).into_data();
            assert_close("perceptron", found, second.forward(between).into_data());
        }
    }
}
