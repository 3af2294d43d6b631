//! The control of the step size.

use std::collections::VecDeque;

use crate::Memory;

/// How [`DpmAdaptive`](super::DpmAdaptive) chooses its steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepControl {
    /// The order of the solver, 2 or 3.
    pub order: usize,
    /// The tolerated error relative to the latent.
    pub rtol: f64,
    /// The tolerated error at the least.
    pub atol: f64,
    /// The first step in `lambda`.
    pub h_init: f64,
    /// The proportional coefficient.
    pub pcoeff: f64,
    /// The integral coefficient.
    pub icoeff: f64,
    /// The derivative coefficient.
    pub dcoeff: f64,
    /// A step is repeated if the next would have to be shorter by this factor, at most 0.99.
    pub accept_safety: f64,
}

impl Default for StepControl {
    fn default() -> Self {
        Self {
            order: 3,
            rtol: 0.05,
            atol: 0.0078,
            h_init: 0.05,
            pcoeff: 0.0,
            icoeff: 1.0,
            dcoeff: 0.0,
            accept_safety: 0.81,
        }
    }
}

/// A PID controller. <https://arxiv.org/abs/2105.14080>, and k-diffusion's `PIDStepSizeController`
#[derive(Debug, Clone)]
pub(super) struct Controller {
    /// The length of the next step.
    pub(super) h: f64,
    powers: [f64; 3],
    accept_safety: f64,
    /// The reciprocal errors of the latest three steps, latest first.
    errors: VecDeque<f64>,
}

impl Controller {
    /// No step is shorter, nor is one of this length repeated: the way to the end is finite.
    const SHORTEST: f64 = 1e-3;

    pub(super) fn new(control: StepControl, order: f64) -> Self {
        let StepControl { h_init, pcoeff, icoeff, dcoeff, accept_safety, .. } = control;
        let powers = [pcoeff + icoeff + dcoeff, -(pcoeff + 2.0 * dcoeff), dcoeff].map(|power| power / order);
        let accept_safety = accept_safety.min(0.99); // each repetition is shorter, so that there is a last one
        Self { h: h_init.abs().max(Self::SHORTEST), powers, accept_safety, errors: VecDeque::new() }
    }

    /// Sets the length of the next step, and says whether this one is good enough.
    pub(super) fn accepts(&mut self, error: f64) -> bool {
        let inverse = 1.0 / (error + 1e-8);
        if self.errors.is_empty() {
            self.errors = [inverse; 3].into();
        }
        self.errors[0] = inverse;
        let factor: f64 = self.errors.iter().zip(self.powers).map(|(error, power)| error.powf(power)).product();
        let factor = 1.0 + (factor - 1.0).atan();
        let accepted = factor >= self.accept_safety || self.h <= Self::SHORTEST;
        if accepted {
            self.errors.pop_back();
            self.errors.push_front(inverse);
        }
        self.h = (self.h * factor).max(Self::SHORTEST);
        accepted
    }

    pub(super) fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("h", &mut self.h);
        memory.keep("errors", &mut self.errors);
    }
}
