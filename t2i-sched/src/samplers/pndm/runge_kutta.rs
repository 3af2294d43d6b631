//! The Runge-Kutta steps that PNDM can start with.

use burn::tensor::Tensor;

use crate::level::scale;
use crate::{Level, Memory};

/// Steps of four calls of the model each, all from the latent at the start of the step: two half ways down, two whole
/// ones. <https://arxiv.org/abs/2202.09778>, eq. 13
#[derive(Debug, Clone)]
pub(super) struct RungeKutta {
    /// The levels of the calls, four to a step.
    levels: Vec<Level>,
    /// The latent at the start of the step.
    start: Option<Tensor<4>>,
    /// The weighted sum of the step's outputs so far.
    sum: Option<Tensor<4>>,
}

/// Where a call leaves from, and along which output.
pub(super) struct Leg {
    pub(super) start: Tensor<4>,
    pub(super) from: Level,
    pub(super) output: Tensor<4>,
}

impl RungeKutta {
    pub(super) fn new(levels: Vec<Level>) -> Self {
        Self { levels, start: None, sum: None }
    }

    /// Whether a call is one of these steps'.
    pub(super) fn has(&self, call: usize) -> bool {
        call < self.levels.len()
    }

    /// What follows from the network's `output` for `x`. The last call of a step goes along the mean of all four.
    pub(super) fn leg(&mut self, call: usize, x: Tensor<4>, output: Tensor<4>) -> Leg {
        let from = self.levels[call / 4 * 4];
        let weight = if matches!(call % 4, 0 | 3) { 1.0 / 6.0 } else { 1.0 / 3.0 };
        let weighted = scale(output.clone(), weight);
        let sum = match self.sum.take() {
            Some(sum) => sum + weighted,
            None => weighted,
        };
        if call.is_multiple_of(4) {
            self.start = Some(x.clone());
        }
        let start = self.start.clone().unwrap_or(x);
        if call % 4 == 3 {
            return Leg { start, from, output: sum };
        }
        self.sum = Some(sum);
        Leg { start, from, output }
    }

    pub(super) fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("start", &mut self.start);
        memory.keep("sum", &mut self.sum);
    }
}
