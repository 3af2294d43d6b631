//! DDIM backwards.

use burn::tensor::Tensor;

use super::{Ladder, Limit};
use crate::level::scale;
use crate::{Denoise, Level, Prediction, Sampler};

/// DDIM from a picture up to the noise that it would come from. A step takes the network's output at its end, which is
/// not known, for that of its beginning: the network is asked for the latent as it is, but told the level to come.
/// It asks once a step.
///
/// A1111, ComfyUI: none. diffusers: `DDIMInverseScheduler`, which leaves from one stride of the ladder below where it
/// lands, and not from the level that was reached. <https://arxiv.org/abs/2105.05233>, appendix F;
/// <https://arxiv.org/abs/2211.09794>, section 3.2
#[derive(Debug, Clone)]
pub struct DdimInverse {
    prediction: Prediction,
    ladder: Ladder,
    limit: Option<Limit>,
}

impl DdimInverse {
    /// The sampler; `prediction` says what the network's output means at another level than it was told.
    pub fn new(prediction: Prediction, ladder: Ladder) -> Self {
        Self { prediction, ladder, limit: None }
    }

    /// Limits `x0`, while the direction stays that of the unlimited one, as the reference does.
    pub fn limited(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The clean latent and the noise that `output` stands for at `level`.
    fn parts(&self, output: Tensor<4>, x: Tensor<4>, level: Level) -> (Tensor<4>, Tensor<4>) {
        let x0 = self.prediction.x0(output.clone(), x.clone(), level);
        let eps = match self.prediction {
            Prediction::Epsilon => output,
            Prediction::V => scale(output, level.alpha / level.norm()) + scale(x, level.sigma / level.norm().powi(2)),
            _ if level.is_clean() => x0.zeros_like(),
            _ => level.eps(x, x0.clone()),
        };
        (x0, eps)
    }
}

impl Sampler for DdimInverse {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let guess = denoise(x.clone(), to);
        if to.is_clean() {
            return guess;
        }
        if from.alpha == 0.0 {
            return x; // there is no more noise than this
        }
        let output = self.prediction.output(guess, x.clone(), to);
        let (x0, eps) = self.parts(output, x, self.ladder.below(to).unwrap_or(from));
        to.mix(self.limit.map_or(x0.clone(), |limit| limit.apply(x0)), eps)
    }
}
