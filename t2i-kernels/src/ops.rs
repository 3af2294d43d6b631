//! The kernels as operations on tensors of Burn.
//!
//! On a CPU (Flex, with the feature `flex`), for numbers of 32 bits, each runs its kernel, also backwards (with the feature
//! `autodiff`); anywhere else it is the composition of Burn's operations that it stands for. Weights may be halves there: see
//! [`arithmetic`].

#[cfg(feature = "flex")]
mod fast;
#[cfg(not(feature = "flex"))]
#[path = "ops/none.rs"]
mod fast;
mod plain;
mod sums;

use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, Linear};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{DType, Device, Tensor, activation};

/// Which tokens a token sees in attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All of the context.
    All,
    /// Itself and those before it.
    Past,
}

/// A function of each number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// [`silu`].
    Silu,
    /// [`gelu`].
    Gelu,
    /// [`quick_gelu`].
    QuickGelu,
}

impl Activation {
    fn of(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Silu => silu(x),
            Self::Gelu => gelu(x),
            Self::QuickGelu => quick_gelu(x),
        }
    }
}

/// The type in which a network computes that has such a weight.
///
/// It is the weight's own, but for halves on a CPU (Flex), which has no fast arithmetic for them: there they take half the memory, and
/// each is widened to 32 bits at the time it is used. Where gradients are asked for, halves stay halves.
pub fn arithmetic<const D: usize>(weight: &Tensor<D>) -> DType {
    fast::arithmetic(weight)
}

/// Runs a network's operations where the threads are that share them, on a CPU (Flex): from elsewhere each would wait for one of
/// them to wake up. Anywhere else `run` is just called.
pub fn in_pool<R: Send>(device: &Device, run: impl FnOnce() -> R + Send) -> R {
    fast::in_pool(device, run)
}

/// `x * sigmoid(x)`.
///
/// # Shapes
/// - x, output: any
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    fast::silu(&x).unwrap_or_else(|| activation::silu(x))
}

/// `x * P(N < x)` for a standard normal `N`: GELU in its exact form. [Hendrycks and Gimpel 2016](https://arxiv.org/abs/1606.08415)
///
/// # Shapes
/// - x, output: any
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    fast::gelu(&x).unwrap_or_else(|| activation::gelu(x))
}

/// `x * sigmoid(1.702 * x)`, which is nearly [`gelu`].
///
/// # Shapes
/// - x, output: any
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    fast::quick_gelu(&x).unwrap_or_else(|| x.clone() * activation::sigmoid(x * 1.702))
}

/// The first half of the last axis times GELU (in its exact form) of the second half.
///
/// # Shapes
/// - x: `[batch, tokens, 2 * n]`
/// - output: `[batch, tokens, n]`
pub fn geglu(x: Tensor<3>) -> Tensor<3> {
    fast::geglu(&x).unwrap_or_else(|| {
        let half = x.dims()[2] / 2;
        x.clone().narrow(2, 0, half) * activation::gelu(x.narrow(2, half, half))
    })
}

/// Group normalisation. [Wu and He 2018](https://arxiv.org/abs/1803.08494)
///
/// # Shapes
/// - x, output: `[batch, channels, height, width]`
///
/// # Panics
/// If `x` has other channels than `norm`.
pub fn group_norm(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    fast::group_norm(norm, &x).unwrap_or_else(|| plain::group_norm(norm, x))
}

/// [`silu`] of [`group_norm`], in one pass.
///
/// # Shapes
/// - x, output: `[batch, channels, height, width]`
///
/// # Panics
/// If `x` has other channels than `norm`.
pub fn group_norm_silu(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    fast::group_norm_silu(norm, &x).unwrap_or_else(|| plain::group_norm_silu(norm, x))
}

/// Normalisation over the last axis; `epsilon` is that of `norm`, which does not tell.
/// [Ba et al. 2016](https://arxiv.org/abs/1607.06450)
///
/// # Shapes
/// - x, output: `[batch, tokens, channels]`
///
/// # Panics
/// If `x` has other channels than `norm`.
pub fn layer_norm(norm: &LayerNorm, epsilon: f64, x: Tensor<3>) -> Tensor<3> {
    fast::layer_norm(norm, epsilon, &x).unwrap_or_else(|| plain::layer_norm(norm, epsilon, x))
}

/// `x weight + bias`.
///
/// # Shapes
/// - x: `[..., inputs]`
/// - output: `[..., outputs]`
///
/// # Panics
/// If `x` has other inputs than `linear`.
pub fn linear<const D: usize>(linear: &Linear, x: Tensor<D>) -> Tensor<D> {
    fast::linear(linear, &x).unwrap_or_else(|| linear.forward(x))
}

/// Three layers of one input, as those that make queries, keys and values.
///
/// # Shapes
/// - x: `[batch, tokens, inputs]`
/// - outputs: `[batch, tokens, outputs]` each
///
/// # Panics
/// If `x` has other inputs than a layer.
pub fn linears(layers: [&Linear; 3], x: Tensor<3>) -> [Tensor<3>; 3] {
    fast::linears(layers, &x).unwrap_or_else(|| layers.map(|layer| linear(layer, x.clone())))
}

/// Two layers with a function between them.
///
/// # Shapes
/// - x: `[batch, tokens, inputs]`
/// - output: `[batch, tokens, outputs]`
///
/// # Panics
/// If `x` has other inputs than `first`, or `second` other inputs than `first` has outputs.
pub fn perceptron(first: &Linear, activation: Activation, second: &Linear, x: Tensor<3>) -> Tensor<3> {
    fast::perceptron([first, second], activation, &x).unwrap_or_else(|| linear(second, activation.of(linear(first, x))))
}

/// Convolution of pictures.
///
/// # Shapes
/// - x: `[batch, inputs, height, width]`
/// - output: `[batch, outputs, height, width]`, as padding and stride have it
///
/// # Panics
/// If `x` has other channels than `conv`.
pub fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    fast::conv2d(conv, &x).unwrap_or_else(|| plain::conv2d(conv, x))
}

/// The sum of two tensors.
///
/// # Shapes
/// - x, y, output: the same
pub fn add<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    fast::add(&x, &y).unwrap_or_else(|| x + y)
}

/// Adds a number to every pixel of a channel.
///
/// # Shapes
/// - x, output: `[batch, channels, height, width]`
/// - y: `[batch, channels]`
pub fn add_to_channels(x: Tensor<4>, y: Tensor<2>) -> Tensor<4> {
    fast::add_to_channels(&x, &y).unwrap_or_else(|| x + y.unsqueeze_dims(&[2, 3]))
}

/// The channels of one picture after those of another.
///
/// # Shapes
/// - x: `[batch, channels, height, width]`
/// - y: `[batch, other channels, height, width]`
/// - output: `[batch, channels + other channels, height, width]`
pub fn concat(x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
    fast::concat(&x, &y).unwrap_or_else(|| Tensor::cat(vec![x, y], 1))
}

/// Pictures of another size, each pixel of which is that at its place.
///
/// # Shapes
/// - x: `[batch, channels, _, _]`
/// - output: `[batch, channels, height, width]`
pub fn resize_nearest(x: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let nearest = || InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([height, width]);
    fast::resize_nearest(&x, [height, width]).unwrap_or_else(|| interpolate(x, nearest()))
}

/// The pixels of a picture as tokens.
///
/// # Shapes
/// - x: `[batch, channels, height, width]`
/// - output: `[batch, height * width, channels]`
pub fn tokens(x: Tensor<4>) -> Tensor<3> {
    let x = x.flatten::<3>(2, 3);
    fast::swap_last(&x).unwrap_or_else(|| x.swap_dims(1, 2))
}

/// Tokens as the pixels of a picture.
///
/// # Shapes
/// - x: `[batch, height * width, channels]`
/// - output: `[batch, channels, height, width]`
pub fn pixels(x: Tensor<3>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [batch, _, channels] = x.dims();
    let x = fast::swap_last(&x).unwrap_or_else(|| x.swap_dims(1, 2));
    x.reshape([batch, channels, height, width])
}

/// Scaled dot-product attention of several heads, `softmax(q k^T / sqrt(dim)) v`, by a kernel; `None` where there is none.
/// [Dao et al. 2022](https://arxiv.org/abs/2205.14135)
///
/// # Shapes
/// - query, output: `[batch, tokens, heads * dim]`
/// - key, value: `[batch, context, heads * dim]`
///
/// # Panics
/// If the shapes do not agree.
pub fn attention(
    query: &Tensor<3>,
    key: &Tensor<3>,
    value: &Tensor<3>,
    heads: usize,
    sight: Sight,
) -> Option<Tensor<3>> {
    fast::attention([query, key, value], heads, sight)
}
