//! Pseudo numerical methods for diffusion models.

mod runge_kutta;

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::{Ladder, adams_bashforth};
use crate::level::scale;
use crate::{Denoise, Level, Memory, Prediction, Sampler};

use runge_kutta::{Leg, RungeKutta};

/// Linear multistep (PLMS) over the network's outputs, after three Runge-Kutta steps (PRK) or one step of Heun's.
///
/// Each call of [`step`](Sampler::step) asks the model once, at `from`; where the latent goes follows from the number of
/// calls so far, as in the reference: the plan lists a level twice where the network is asked twice.
/// Image-to-image starts to count in the middle of that list, and the reference's numbers depend on it.
///
/// A1111: "PLMS". diffusers: `PNDMScheduler` (`skip_prk_steps`: [`plms`](Self::plms), else [`prk`](Self::prk)).
/// <https://arxiv.org/abs/2202.09778>, eq. 9, 12 and 13
#[derive(Debug, Clone)]
pub struct Pndm {
    prediction: Prediction,
    ladder: Ladder,
    runge_kutta: RungeKutta,
    calls: usize,
    /// The network's outputs at the levels done, latest last; at most four.
    outputs: VecDeque<Tensor<4>>,
    /// The latent at the start of Heun's step.
    start: Option<Tensor<4>>,
}

impl Pndm {
    /// Starts with one step of Heun's. `prediction` says in which space the outputs are combined.
    pub fn plms(prediction: Prediction, ladder: Ladder) -> Self {
        Self::prk(prediction, ladder, Vec::new())
    }

    /// Starts with Runge-Kutta steps over the levels of `runge_kutta`, which are the first of the plan.
    pub fn prk(prediction: Prediction, ladder: Ladder, runge_kutta: Vec<Level>) -> Self {
        let runge_kutta = RungeKutta::new(runge_kutta);
        Self { prediction, ladder, runge_kutta, calls: 0, outputs: VecDeque::new(), start: None }
    }

    /// One of the four calls of a Runge-Kutta step.
    fn runge_kutta_step(&mut self, x: Tensor<4>, output: Tensor<4>, at: Level, t: i64) -> Tensor<4> {
        if self.calls.is_multiple_of(4) {
            self.outputs.push_back(output.clone());
        }
        let half_way = self.calls.is_multiple_of(2);
        let to = if half_way { self.ladder.level(t - self.ladder.stride() / 2) } else { at };
        let Leg { start, from, output } = self.runge_kutta.leg(self.calls, x, output);
        self.transfer(start, output, from, to)
    }

    /// A multistep call; the second of all repeats the first step with the mean of the outputs at both ends.
    fn multistep(&mut self, x: Tensor<4>, output: Tensor<4>, at: Level, t: i64) -> Tensor<4> {
        if self.calls == 1 {
            let mean = match self.outputs.back() {
                Some(before) => scale(output + before.clone(), 0.5),
                None => output,
            };
            let start = self.start.take().unwrap_or(x);
            return self.transfer(start, mean, self.ladder.level(t + self.ladder.stride()), at);
        }
        self.outputs.push_back(output);
        if self.outputs.len() > 4 {
            self.outputs.pop_front();
        }
        if self.calls == 0 {
            self.start = Some(x.clone());
        }
        let to = self.ladder.level(t - self.ladder.stride());
        self.transfer(x, combined(&self.outputs), at, to)
    }

    /// Moves `x` along the direction that `output` stands for at `from`.
    fn transfer(&self, x: Tensor<4>, output: Tensor<4>, from: Level, to: Level) -> Tensor<4> {
        let eps = match self.prediction {
            Prediction::Epsilon => output,
            other => from.eps(x.clone(), other.x0(output, x.clone(), from)),
        };
        from.transfer(x, eps, to)
    }
}

impl Sampler for Pndm {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let Some(t) = self.ladder.timestep(from) else {
            return to.mix(x0.clone(), from.eps(x, x0)); // not a level of the schedule: Euler's method
        };
        let output = self.prediction.output(x0, x.clone(), from);
        let x = if self.runge_kutta.has(self.calls) {
            self.runge_kutta_step(x, output, from, t)
        } else {
            self.multistep(x, output, from, t)
        };
        self.calls += 1;
        x
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("calls", &mut self.calls);
        memory.keep("outputs", &mut self.outputs);
        memory.keep("start", &mut self.start);
        memory.part("runge_kutta", |memory| self.runge_kutta.remember(memory));
    }
}

/// The combination of up to four outputs.
fn combined(outputs: &VecDeque<Tensor<4>>) -> Tensor<4> {
    let weights = adams_bashforth::weights(outputs.len()).iter().rev();
    let terms = outputs.iter().zip(weights).map(|(output, weight)| scale(output.clone(), *weight));
    terms.reduce(|sum, term| sum + term).expect("at least the latest output")
}
