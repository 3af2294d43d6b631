//! Which tensors have kernels, and the way to them through Burn's dispatch.

#[cfg(feature = "autodiff")]
mod autodiff;
mod flex;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, DispatchTensor, backend_extension};
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, Linear, PaddingConfig2d};
use burn::tensor::{DType, Tensor};

use super::Sight;

/// What Flex and its autodiff compute with kernels.
#[backend_extension(Flex, Autodiff: cfg(feature = "autodiff"))]
pub(crate) trait Kernels: Backend {
    fn silu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn geglu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn normalise(
        norm: Norm,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    fn multiply(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    fn multiply_add(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: usize,
        sight: Sight,
    ) -> FloatTensor<Self>;
}

/// The gradients of [`Kernels`], for a backend below autodiff.
#[cfg(feature = "autodiff")]
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

    fn multiply_x_backward(weight: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;

    fn multiply_weight_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;

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

/// The normalisations, with their groups.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Norm {
    Group(usize),
    GroupSilu(usize),
    Layer,
}

pub(super) fn silu<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    Some(Tensor::from_dispatch(Dispatch::silu(part(x)?)))
}

pub(super) fn geglu(x: &Tensor<3>) -> Option<Tensor<3>> {
    Some(Tensor::from_dispatch(Dispatch::geglu(part(x)?)))
}

pub(super) fn group_norm(norm: &GroupNorm, x: &Tensor<4>) -> Option<Tensor<4>> {
    of_groups(Norm::Group(norm.num_groups), norm, x)
}

pub(super) fn group_norm_silu(norm: &GroupNorm, x: &Tensor<4>) -> Option<Tensor<4>> {
    of_groups(Norm::GroupSilu(norm.num_groups), norm, x)
}

fn of_groups(kind: Norm, norm: &GroupNorm, x: &Tensor<4>) -> Option<Tensor<4>> {
    let (gamma, beta) = (part(&norm.gamma.as_ref()?.val())?, part(&norm.beta.as_ref()?.val())?);
    Some(Tensor::from_dispatch(Dispatch::normalise(kind, part(x)?, gamma, beta, norm.epsilon)))
}

pub(super) fn layer_norm(norm: &LayerNorm, epsilon: f64, x: &Tensor<3>) -> Option<Tensor<3>> {
    let (gamma, beta) = (part(&norm.gamma.val())?, part(&norm.beta.as_ref()?.val())?);
    Some(Tensor::from_dispatch(Dispatch::normalise(Norm::Layer, part(x)?, gamma, beta, epsilon)))
}

pub(super) fn linear(linear: &Linear, x: &Tensor<3>) -> Option<Tensor<3>> {
    let (x, weight) = (part(x)?, part(&linear.weight.val())?);
    Some(Tensor::from_dispatch(match &linear.bias {
        Some(bias) => Dispatch::multiply_add(x, weight, part(&bias.val())?),
        None => Dispatch::multiply(x, weight),
    }))
}

/// Convolutions of 3 x 3 with stride 1 and padding 1.
pub(super) fn conv2d(conv: &Conv2d, x: &Tensor<4>) -> Option<Tensor<4>> {
    let padded = matches!(conv.padding, PaddingConfig2d::Same | PaddingConfig2d::Explicit(1, 1, 1, 1));
    let is_3x3 = (conv.kernel_size, conv.stride, conv.dilation, conv.groups) == ([3, 3], [1, 1], [1, 1], 1);
    if !(is_3x3 && padded) {
        return None;
    }
    let (x, weight, bias) = (part(x)?, part(&conv.weight.val())?, part(&conv.bias.as_ref()?.val())?);
    Some(Tensor::from_dispatch(Dispatch::conv3x3(x, weight, bias)))
}

pub(super) fn attention(inputs: [&Tensor<3>; 3], heads: usize, sight: Sight) -> Option<Tensor<3>> {
    let [query, key, value] = inputs.map(part);
    Some(Tensor::from_dispatch(Dispatch::attend(query?, key?, value?, heads, sight)))
}

/// A tensor that a kernel can take: of 32 bits, not empty, on Flex, and differentiated only where gradients are compiled in.
fn part<const D: usize>(x: &Tensor<D>) -> Option<DispatchTensor> {
    let device = x.device();
    let known = cfg!(feature = "autodiff") || !device.is_autodiff();
    let on_flex = known && matches!(device.inner().as_dispatch(), DispatchDevice::Flex(_));
    (on_flex && x.dtype() == DType::F32 && x.shape().num_elements() > 0).then(|| x.clone().into_dispatch())
}
