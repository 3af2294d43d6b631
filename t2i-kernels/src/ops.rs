//! The kernels as operations on tensors of Burn.
//!
//! On a CPU (Flex), for numbers of 32 bits, each runs its kernel, also backwards; anywhere else it is the plain composition
//! of Burn's operations that it replaces.

mod autodiff;
mod flex;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, DispatchTensor, backend_extension};
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, PaddingConfig2d};
use burn::tensor::activation::gelu;
use burn::tensor::{DType, Device, Tensor};

/// What Flex and its autodiff compute with kernels.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    fn silu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn geglu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn normalise_groups(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    fn group_norm_silu(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    fn normalise_layer(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: usize,
        sight: Sight,
    ) -> FloatTensor<Self>;
}

/// The gradients of [`Kernels`], for a backend below autodiff.
pub(crate) trait KernelGradients: Kernels {
    fn silu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;

    fn geglu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The gradients for x, gamma and beta.
    fn norm_backward(
        norm: Norm,
        inputs: [FloatTensor<Self>; 3],
        epsilon: f64,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];

    fn conv3x3_x_backward(weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;

    fn conv3x3_weight_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The result, and what the gradient needs of the weights.
    fn attention_saving(inputs: [FloatTensor<Self>; 3], heads: usize, sight: Sight) -> [FloatTensor<Self>; 2];

    /// The gradients for queries, keys and values.
    fn attention_backward(
        inputs: [FloatTensor<Self>; 3],
        saved: [FloatTensor<Self>; 2],
        heads: usize,
        sight: Sight,
        grad: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];
}

/// Which tokens a token sees in attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// All of the context.
    All,
    /// Itself and those before it.
    Past,
}

/// The normalisations.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Norm {
    Group(usize),
    GroupSilu(usize),
    Layer,
}

/// `x * sigmoid(x)`.
///
/// # Shapes
/// - x, output: any
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match has_kernels(&x.device(), [x.dtype()]) {
        true => Tensor::from_dispatch(Dispatch::silu(x.into_dispatch())),
        false => burn::tensor::activation::silu(x),
    }
}

/// The first half of the last axis times GELU (in its exact form) of the second half.
///
/// # Shapes
/// - x: `[.., 2 * n]`
/// - output: `[.., n]`
pub fn geglu(x: Tensor<3>) -> Tensor<3> {
    match has_kernels(&x.device(), [x.dtype()]) {
        true => Tensor::from_dispatch(Dispatch::geglu(x.into_dispatch())),
        false => {
            let half = x.dims()[2] / 2;
            x.clone().narrow(2, 0, half) * gelu(x.narrow(2, half, half))
        }
    }
}

/// Group normalisation. [Wu and He 2018](https://arxiv.org/abs/1803.08494)
///
/// # Shapes
/// - x, output: `[batch, channels, height, width]`
///
/// # Panics
/// If `x` has other channels than `norm`.
pub fn group_norm(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    let Some([gamma, beta]) = weights(norm, &x) else { return norm.forward(x) };
    Tensor::from_dispatch(Dispatch::normalise_groups(x.into_dispatch(), gamma, beta, norm.num_groups, norm.epsilon))
}

/// [`silu`] of [`group_norm`], in one pass.
///
/// # Shapes
/// - x, output: `[batch, channels, height, width]`
///
/// # Panics
/// If `x` has other channels than `norm`.
pub fn group_norm_silu(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    let Some([gamma, beta]) = weights(norm, &x) else { return silu(norm.forward(x)) };
    Tensor::from_dispatch(Dispatch::group_norm_silu(x.into_dispatch(), gamma, beta, norm.num_groups, norm.epsilon))
}

/// The weights of a norm that has a kernel for `x`.
fn weights(norm: &GroupNorm, x: &Tensor<4>) -> Option<[DispatchTensor; 2]> {
    let (gamma, beta) = (norm.gamma.as_ref()?.val(), norm.beta.as_ref()?.val());
    let fits = has_kernels(&x.device(), [x.dtype(), gamma.dtype()]) && x.dims()[1] == norm.num_channels;
    fits.then(|| [gamma.into_dispatch(), beta.into_dispatch()])
}

/// Convolution: by a kernel where it is one of 3 x 3 with stride 1 and padding 1.
///
/// # Shapes
/// - x: `[batch, inputs, height, width]`
/// - output: `[batch, outputs, height, width]`, smaller by the stride
///
/// # Panics
/// If `x` has other channels than `conv`.
pub fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let (weight, bias) = (conv.weight.val(), conv.bias.as_ref().map(|bias| bias.val()));
    match bias {
        Some(bias) if is_3x3(conv) && has_kernels(&x.device(), [x.dtype(), weight.dtype()]) => {
            let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
            Tensor::from_dispatch(Dispatch::conv3x3(x, weight, bias))
        }
        _ => conv.forward(x),
    }
}

fn is_3x3(conv: &Conv2d) -> bool {
    let padded = matches!(conv.padding, PaddingConfig2d::Same | PaddingConfig2d::Explicit(1, 1, 1, 1));
    (conv.kernel_size, conv.stride, conv.dilation, conv.groups) == ([3, 3], [1, 1], [1, 1], 1) && padded
}

/// Normalisation over the last axis. [Ba et al. 2016](https://arxiv.org/abs/1607.06450)
///
/// # Shapes
/// - x, output: `[batch, tokens, channels]`
///
/// # Panics
/// If `x` has other channels than `norm`.
pub fn layer_norm(norm: &LayerNorm, epsilon: f64, x: Tensor<3>) -> Tensor<3> {
    let (gamma, beta) = (norm.gamma.val(), norm.beta.as_ref().map(|beta| beta.val()));
    match beta {
        Some(beta) if has_kernels(&x.device(), [x.dtype(), gamma.dtype()]) && x.dims()[2] == gamma.dims()[0] => {
            let (x, gamma, beta) = (x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch());
            Tensor::from_dispatch(Dispatch::normalise_layer(x, gamma, beta, epsilon))
        }
        _ => norm.forward(x),
    }
}

/// Scaled dot-product attention of several heads, `softmax(q k^T / sqrt(dim)) v`, by a kernel; `None` where there is none.
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
    if !has_kernels(&query.device(), [query, key, value].map(|x| x.dtype())) {
        return None;
    }
    let [query, key, value] = [query, key, value].map(|x| x.clone().into_dispatch());
    Some(Tensor::from_dispatch(Dispatch::attend(query, key, value, heads, sight)))
}

/// Whether tensors of these types have kernels there.
fn has_kernels<const N: usize>(device: &Device, dtypes: [DType; N]) -> bool {
    let plain = device.clone().inner();
    matches!(plain.as_dispatch(), DispatchDevice::Flex(_)) && dtypes.iter().all(|dtype| *dtype == DType::F32)
}
