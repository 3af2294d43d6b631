//! Guidance: functions of a network's predictions, and what guided models tell samplers beside them.
//!
//! A sampler sees one answer of the model, the guided one. The CFG++ samplers need the unconditional one as well. It
//! comes by a slot beside the call, [`Unconditional`], that whoever guides fills and the sampler empties. The other way
//! would be a second output of `denoise`: every sampler, every wrapper and every user's closure would carry it for the
//! sake of the few that look at it, and a model without guidance has none to give. The price is that the two ends of the
//! slot must be clones of each other, which the compiler does not check; an unconnected sampler is not wrong, but plain.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// Where a guided model leaves the unconditional clean latent of its latest call, for the samplers of CFG++
/// (<https://arxiv.org/abs/2406.08070>). Clones share one slot.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use t2i_sched::samplers::EulerCfgPp;
/// use t2i_sched::{Level, Unconditional, cfg, steps};
///
/// let slot = Unconditional::default();
/// let sampler = EulerCfgPp::new(slot.clone());
/// let denoise = |x: Tensor<4>, _: Level| {
///     let (cond, uncond) = (x.ones_like(), x.zeros_like()); // two calls of a network
///     slot.put(uncond.clone());
///     cfg(cond, uncond, 0.6)
/// };
/// let x = Tensor::ones([1, 4, 8, 8], &Device::flex());
/// assert_eq!(steps(sampler, x, &[Level::ve(1.0), Level::CLEAN], denoise).count(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Unconditional(Arc<Mutex<Option<Tensor<4>>>>);

impl Unconditional {
    /// Leaves the unconditional clean latent of a call.
    ///
    /// # Shapes
    /// `x0` is `[batch, channels, height, width]`.
    pub fn put(&self, x0: Tensor<4>) {
        *self.slot() = Some(x0);
    }

    /// Takes what the latest call left, if it was guided. `[batch, channels, height, width]`
    pub fn take(&self) -> Option<Tensor<4>> {
        self.slot().take()
    }

    /// What the latest call left in `slot`; its answer `x0` itself where there is no slot or nothing in it.
    pub(crate) fn of(slot: Option<&Self>, x0: &Tensor<4>) -> Tensor<4> {
        slot.and_then(Self::take).unwrap_or_else(|| x0.clone())
    }

    fn slot(&self) -> MutexGuard<'_, Option<Tensor<4>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The unbiased standard deviation of each sample. `[batch, 1, 1, 1]`
fn std(x: Tensor<4>) -> Tensor<4> {
    let batch = x.dims()[0];
    let flat: Tensor<2> = x.flatten(1, 3); // [batch, channels * height * width]
    flat.var(1).sqrt().reshape([batch, 1, 1, 1])
}
