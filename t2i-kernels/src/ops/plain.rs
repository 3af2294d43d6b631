//! The compositions of Burn's operations that are longer than a line.
//!
//! Statistics of halves are taken in 32 bits: a sum of squares of f16 soon overflows, and a mean of bf16 has two digits.

use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, LayerNorm};
use burn::tensor::module;
use burn::tensor::{DType, Tensor, activation};

use super::sums;

pub(super) fn group_norm(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    match is_half(x.dtype()) {
        true => wide_group_norm(norm, x.clone()).cast(x.dtype()),
        false => norm.forward(x),
    }
}

pub(super) fn group_norm_silu(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    match is_half(x.dtype()) {
        true => activation::silu(wide_group_norm(norm, x.clone())).cast(x.dtype()),
        false => activation::silu(norm.forward(x)),
    }
}

/// In 32 bits, whatever comes in.
fn wide_group_norm(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    let shape @ [batch, channels, height, width] = x.dims();
    let group = channels / norm.num_groups * height * width;
    let x = x.cast(DType::F32).reshape([batch, norm.num_groups, group]);
    let x = x.clone() - x.mean_dim(2);
    let variance = x.clone().square().mean_dim(2);
    let x = (x / (variance + norm.epsilon).sqrt()).reshape(shape);
    let of_channels = |values: Tensor<1>| values.cast(DType::F32).reshape([1, channels, 1, 1]);
    match (&norm.gamma, &norm.beta) {
        (Some(gamma), Some(beta)) => x * of_channels(gamma.val()) + of_channels(beta.val()),
        _ => x,
    }
}

pub(super) fn layer_norm(norm: &LayerNorm, epsilon: f64, x: Tensor<3>) -> Tensor<3> {
    if !is_half(x.dtype()) {
        return norm.forward(x);
    }
    let wide = |values: &Param<Tensor<1>>| values.val().cast(DType::F32);
    let (gamma, beta) = (wide(&norm.gamma), norm.beta.as_ref().map(wide));
    module::layer_norm(x.clone().cast(DType::F32), gamma, beta, epsilon).cast(x.dtype())
}

/// In 32 bits where the device would add up halves.
pub(super) fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    match is_half(x.dtype()) && !sums::are_wide(conv, &x) {
        true => wide(conv.clone()).forward(x.clone().cast(DType::F32)).cast(x.dtype()),
        false => conv.forward(x),
    }
}

fn wide(mut conv: Conv2d) -> Conv2d {
    conv.weight = conv.weight.map(|weight| weight.cast(DType::F32));
    conv.bias = conv.bias.map(|bias| bias.map(|bias| bias.cast(DType::F32)));
    conv
}

fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}
