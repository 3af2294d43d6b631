//! Guidance: functions of a network's predictions.

use burn::tensor::Tensor;

/// Classifier-free guidance: `uncond + scale * (cond - uncond)`. <https://arxiv.org/abs/2207.12598>, eq. 6
///
/// # Shapes
/// All are `[batch, channels, height, width]`.
pub fn cfg(cond: Tensor<4>, uncond: Tensor<4>, scale: f64) -> Tensor<4> {
    uncond.clone() + (cond - uncond).mul_scalar(scale)
}

/// Brings the standard deviation of each guided prediction back towards that of its conditional one, by the share
/// `phi` in `[0, 1]`. <https://arxiv.org/abs/2305.08891>, eq. 14 to 16; diffusers: `rescale_noise_cfg`
///
/// Both are predictions in the network's own space, not clean latents.
///
/// # Shapes
/// All are `[batch, channels, height, width]`.
pub fn rescale(guided: Tensor<4>, cond: Tensor<4>, phi: f64) -> Tensor<4> {
    let ratio = std(cond) / std(guided.clone());
    let rescaled = guided.clone() * ratio;
    rescaled.mul_scalar(phi) + guided.mul_scalar(1.0 - phi)
}

/// The unbiased standard deviation of each sample. `[batch, 1, 1, 1]`
fn std(x: Tensor<4>) -> Tensor<4> {
    let batch = x.dims()[0];
    let flat: Tensor<2> = x.flatten(1, 3); // [batch, channels * height * width]
    flat.var(1).sqrt().reshape([batch, 1, 1, 1])
}
