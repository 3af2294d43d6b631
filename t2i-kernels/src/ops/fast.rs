//! Which tensors have kernels, and the way to them through Burn's dispatch.

#[cfg(feature = "autodiff")]
mod autodiff;
mod flex;
mod memory;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, DispatchTensor, backend_extension};
use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, Linear, PaddingConfig2d};
use burn::tensor::{DType, Device, Tensor};

use super::{Activation, Sight};
use crate::Window;

/// What Flex and its autodiff compute with kernels.
#[backend_extension(Flex, Autodiff: cfg(feature = "autodiff"))]
pub(crate) trait Kernels: Backend {
    fn activate(function: Function, x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn normalise(
        norm: Norm,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self>;

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

/// What Flex computes with kernels where no gradient is asked for.
#[backend_extension(Flex)]
pub(crate) trait ForwardKernels: Backend {
    fn add(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;

    fn add_to_channels(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;

    fn concat(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self>;

    fn resize_nearest(x: FloatTensor<Self>, size: [usize; 2]) -> FloatTensor<Self>;

    fn swap_last(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn multiply_thrice(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        second: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
        third: FloatTensor<Self>,
        third_bias: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn perceptron(
        x: FloatTensor<Self>,
        first: FloatTensor<Self>,
        first_bias: FloatTensor<Self>,
        activation: Activation,
        second: FloatTensor<Self>,
        second_bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// The gradients of [`Kernels`], for a backend below autodiff.
#[cfg(feature = "autodiff")]
pub(crate) trait KernelGradients: Kernels {
    fn activation_backward(function: Function, x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;

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

/// The functions of one tensor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Function {
    Each(Activation),
    Geglu,
}

/// The normalisations, with their groups.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Norm {
    Group(usize),
    GroupSilu(usize),
    Layer,
}

pub(super) fn in_pool<R: Send>(device: &Device, run: impl FnOnce() -> R + Send) -> R {
    if is_flex(device) { rayon::scope(|_| run()) } else { run() }
}

pub(super) fn silu<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    activate(Function::Each(Activation::Silu), x)
}

pub(super) fn gelu<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    activate(Function::Each(Activation::Gelu), x)
}

pub(super) fn quick_gelu<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    activate(Function::Each(Activation::QuickGelu), x)
}

pub(super) fn geglu(x: &Tensor<3>) -> Option<Tensor<3>> {
    activate(Function::Geglu, x)
}

fn activate<const D: usize>(function: Function, x: &Tensor<D>) -> Option<Tensor<D>> {
    Some(Tensor::from_dispatch(Dispatch::activate(function, part(x)?)))
}

pub(super) fn group_norm(norm: &GroupNorm, x: &Tensor<4>) -> Option<Tensor<4>> {
    of_groups(Norm::Group(norm.num_groups), norm, x)
}

pub(super) fn group_norm_silu(norm: &GroupNorm, x: &Tensor<4>) -> Option<Tensor<4>> {
    of_groups(Norm::GroupSilu(norm.num_groups), norm, x)
}

fn of_groups(kind: Norm, norm: &GroupNorm, x: &Tensor<4>) -> Option<Tensor<4>> {
    let (gamma, beta) = (vector(norm.gamma.as_ref()?)?, vector(norm.beta.as_ref()?)?);
    Some(Tensor::from_dispatch(Dispatch::normalise(kind, part(x)?, gamma, beta, norm.epsilon)))
}

pub(super) fn layer_norm(norm: &LayerNorm, epsilon: f64, x: &Tensor<3>) -> Option<Tensor<3>> {
    let (gamma, beta) = (vector(&norm.gamma)?, vector(norm.beta.as_ref()?)?);
    Some(Tensor::from_dispatch(Dispatch::normalise(Norm::Layer, part(x)?, gamma, beta, epsilon)))
}

pub(super) fn linear<const D: usize>(linear: &Linear, x: &Tensor<D>) -> Option<Tensor<D>> {
    let (x, weight) = (part(x)?, weight(&linear.weight)?);
    Some(Tensor::from_dispatch(match &linear.bias {
        Some(bias) => Dispatch::multiply_add(x, weight, vector(bias)?),
        None => Dispatch::multiply(x, weight),
    }))
}

pub(super) fn linears(layers: [&Linear; 3], x: &Tensor<3>) -> Option<[Tensor<3>; 3]> {
    let x = forward_only(x)?;
    let [first, second, third] = biased(layers)?;
    let (q, k, v) = Dispatch::multiply_thrice(x, first.0, first.1, second.0, second.1, third.0, third.1);
    Some([q, k, v].map(Tensor::from_dispatch))
}

pub(super) fn perceptron(layers: [&Linear; 2], activation: Activation, x: &Tensor<3>) -> Option<Tensor<3>> {
    let x = forward_only(x)?;
    let [first, second] = biased(layers)?;
    Some(Tensor::from_dispatch(Dispatch::perceptron(x, first.0, first.1, activation, second.0, second.1)))
}

/// Weights, of one type, and biases of layers that have both.
fn biased<const N: usize>(layers: [&Linear; N]) -> Option<[(DispatchTensor, DispatchTensor); N]> {
    if layers.iter().any(|layer| layer.weight.dtype() != layers[0].weight.dtype()) {
        return None;
    }
    let all = layers.iter().map(|layer| Some((weight(&layer.weight)?, vector(layer.bias.as_ref()?)?)));
    all.collect::<Option<Vec<_>>>()?.try_into().ok()
}

pub(super) fn conv2d(conv: &Conv2d, x: &Tensor<4>) -> Option<Tensor<4>> {
    let window = window(conv)?;
    if x.device().is_autodiff() && window != Window::square(3, 1, 1) {
        return None; // it has no gradient
    }
    let kernels = weight(&conv.weight)?;
    let bias = match &conv.bias {
        Some(bias) => vector(bias)?,
        None => part(&Tensor::<1>::zeros([conv.weight.dims()[0]], (&x.device(), DType::F32)))?,
    };
    Some(Tensor::from_dispatch(Dispatch::convolve(part(x)?, kernels, bias, window)))
}

/// The window of a convolution that sees all channels.
fn window(conv: &Conv2d) -> Option<Window> {
    let (kernel, stride) = (conv.kernel_size, conv.stride);
    let padding = match conv.padding {
        PaddingConfig2d::Valid => [[0; 2]; 2],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [[top, bottom], [left, right]],
        PaddingConfig2d::Same if stride == [1, 1] && kernel.iter().all(|side| side % 2 == 1) => {
            kernel.map(|side| [side / 2; 2])
        }
        PaddingConfig2d::Same => return None,
    };
    (conv.dilation == [1, 1] && conv.groups == 1).then_some(Window { kernel, stride, padding })
}

pub(super) fn attention(inputs: [&Tensor<3>; 3], heads: usize, sight: Sight) -> Option<Tensor<3>> {
    let [query, key, value] = inputs.map(part);
    Some(Tensor::from_dispatch(Dispatch::attend(query?, key?, value?, heads, sight)))
}

pub(super) fn add<const D: usize>(x: &Tensor<D>, y: &Tensor<D>) -> Option<Tensor<D>> {
    let (x_, y_) = (forward_only(x)?, forward_only(y)?);
    (x.dims() == y.dims()).then(|| Tensor::from_dispatch(Dispatch::add(x_, y_)))
}

pub(super) fn add_to_channels(x: &Tensor<4>, y: &Tensor<2>) -> Option<Tensor<4>> {
    let (x_, y_) = (forward_only(x)?, forward_only(y)?);
    (x.dims()[..2] == y.dims()).then(|| Tensor::from_dispatch(Dispatch::add_to_channels(x_, y_)))
}

pub(super) fn concat(x: &Tensor<4>, y: &Tensor<4>) -> Option<Tensor<4>> {
    let ([batch, _, height, width], other) = (x.dims(), y.dims());
    let fits = other == [batch, other[1], height, width];
    let (x, y) = (forward_only(x)?, forward_only(y)?);
    fits.then(|| Tensor::from_dispatch(Dispatch::concat(x, y)))
}

pub(super) fn resize_nearest(x: &Tensor<4>, size: [usize; 2]) -> Option<Tensor<4>> {
    let x = forward_only(x)?;
    (!size.contains(&0)).then(|| Tensor::from_dispatch(Dispatch::resize_nearest(x, size)))
}

pub(super) fn swap_last(x: &Tensor<3>) -> Option<Tensor<3>> {
    Some(Tensor::from_dispatch(Dispatch::swap_last(forward_only(x)?)))
}

pub(super) fn arithmetic<const D: usize>(weight: &Tensor<D>) -> DType {
    let device = weight.device();
    match weight.dtype() {
        DType::F16 | DType::BF16 if is_flex(&device) && !device.is_autodiff() => DType::F32,
        other => other,
    }
}

/// A tensor that a kernel can take: of 32 bits, not empty, on Flex, and differentiated only where gradients are compiled in.
fn part<const D: usize>(x: &Tensor<D>) -> Option<DispatchTensor> {
    let device = x.device();
    let known = cfg!(feature = "autodiff") || !device.is_autodiff();
    let fits = known && is_flex(&device) && x.dtype() == DType::F32 && x.shape().num_elements() > 0;
    fits.then(|| x.clone().into_dispatch())
}

/// A tensor that a kernel without a gradient can take.
fn forward_only<const D: usize>(x: &Tensor<D>) -> Option<DispatchTensor> {
    if x.device().is_autodiff() { None } else { part(x) }
}

/// A weight, which may be of halves where no gradient is asked for.
fn weight<const D: usize>(weight: &Param<Tensor<D>>) -> Option<DispatchTensor> {
    let weight = weight.val();
    match arithmetic(&weight) {
        DType::F32 if is_flex(&weight.device()) => Some(weight.into_dispatch()),
        _ => part(&weight),
    }
}

/// A weight of one axis, widened.
fn vector(weight: &Param<Tensor<1>>) -> Option<DispatchTensor> {
    let weight = weight.val();
    let arithmetic = arithmetic(&weight);
    part(&if weight.dtype() == arithmetic { weight } else { weight.cast(arithmetic) })
}

fn is_flex(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}
