//! Where there are no kernels.

use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm, Linear};
use burn::tensor::{DType, Device, Tensor};

use super::{Activation, Sight};

pub(super) fn in_pool<R: Send>(_: &Device, run: impl FnOnce() -> R + Send) -> R {
    run()
}

pub(super) fn silu<const D: usize>(_: &Tensor<D>) -> Option<Tensor<D>> {
    None
}

pub(super) fn gelu<const D: usize>(_: &Tensor<D>) -> Option<Tensor<D>> {
    None
}

pub(super) fn quick_gelu<const D: usize>(_: &Tensor<D>) -> Option<Tensor<D>> {
    None
}

pub(super) fn geglu(_: &Tensor<3>) -> Option<Tensor<3>> {
    None
}

pub(super) fn group_norm(_: &GroupNorm, _: &Tensor<4>) -> Option<Tensor<4>> {
    None
}

pub(super) fn group_norm_silu(_: &GroupNorm, _: &Tensor<4>) -> Option<Tensor<4>> {
    None
}

pub(super) fn layer_norm(_: &LayerNorm, _: f64, _: &Tensor<3>) -> Option<Tensor<3>> {
    None
}

pub(super) fn linear<const D: usize>(_: &Linear, _: &Tensor<D>) -> Option<Tensor<D>> {
    None
}

pub(super) fn linears(_: [&Linear; 3], _: &Tensor<3>) -> Option<[Tensor<3>; 3]> {
    None
}

pub(super) fn perceptron(_: [&Linear; 2], _: Activation, _: &Tensor<3>) -> Option<Tensor<3>> {
    None
}

pub(super) fn conv2d(_: &Conv2d, _: &Tensor<4>) -> Option<Tensor<4>> {
    None
}

pub(super) fn add<const D: usize>(_: &Tensor<D>, _: &Tensor<D>) -> Option<Tensor<D>> {
    None
}

pub(super) fn add_to_channels(_: &Tensor<4>, _: &Tensor<2>) -> Option<Tensor<4>> {
    None
}

pub(super) fn concat(_: &Tensor<4>, _: &Tensor<4>) -> Option<Tensor<4>> {
    None
}

pub(super) fn resize_nearest(_: &Tensor<4>, _: [usize; 2]) -> Option<Tensor<4>> {
    None
}

pub(super) fn swap_last(_: &Tensor<3>) -> Option<Tensor<3>> {
    None
}

pub(super) fn attention(_: [&Tensor<3>; 3], _: usize, _: Sight) -> Option<Tensor<3>> {
    None
}

pub(super) fn arithmetic<const D: usize>(weight: &Tensor<D>) -> DType {
    weight.dtype()
}
