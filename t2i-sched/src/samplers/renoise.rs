//! Fresh noise on the clean latent.

use burn::tensor::Tensor;

use super::Fresh;
use crate::level::scale;
use crate::{Denoise, Level, Sampler};

/// Multistep consistency sampling: the model's clean latent, and fresh noise up to the next level. It asks the model
/// once a step.
///
/// [`Lcm`](super::Lcm) is this with the boundary condition of latent consistency models. The noise's
/// [`scale`](Fresh::scale) is that of the data, where it is not 1; its `eta` is of no use.
///
/// A1111: none. ComfyUI: "lcm". diffusers: `FlowMatchLCMScheduler`, `FlowMatchEulerDiscreteScheduler` with
/// `stochastic_sampling`, `SCMScheduler`. <https://arxiv.org/abs/2303.01469>, algorithm 1
#[derive(Debug, Clone)]
pub struct Renoise {
    fresh: Fresh,
}

impl Renoise {
    /// The sampler, drawing from `fresh` once a step (also in the last one, as diffusers does).
    pub fn new(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: fresh.into() }
    }
}

impl Sampler for Renoise {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x, from);
        self.fresh.add(scale(x0, to.alpha), from, to, to.sigma)
    }
}
