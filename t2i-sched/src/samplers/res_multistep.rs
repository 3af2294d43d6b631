//! Refined exponential solver, multistep.

use burn::tensor::Tensor;

use super::Fresh;
use crate::level::scale;
use crate::{Denoise, Level, Memory, Sampler, Unconditional};

/// The exponential integrator of second order on a straight line through the last two answers of the model, to a level
/// below the next one where fresh noise fills the rest: one call of the model a step.
///
/// Without noise it is DPM++ 2M with the exact weight ([`DpmCorrection::Heun`](super::DpmCorrection)). With noise the
/// distance between the last two answers is taken to be that from the last level to where the last step went below the
/// next one; the paper has no such step, and this is what ComfyUI runs.
///
/// A1111, diffusers: none. ComfyUI: "res_multistep", "res_multistep_ancestral" ([`ancestral`](Self::ancestral)), and
/// both with "_cfg_pp" ([`cfg_pp`](Self::cfg_pp)). <https://arxiv.org/abs/2308.02157>, the multistep solver of second
/// order
#[derive(Debug, Clone, Default)]
pub struct ResMultistep {
    fresh: Option<Fresh>,
    unconditional: Option<Unconditional>,
    /// The last step's level, where it went below the next one, and its answer.
    before: Option<((Level, Level), Tensor<4>)>,
}

impl ResMultistep {
    /// The solver without noise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Draws fresh noise in every step but one to a clean latent.
    pub fn ancestral(fresh: impl Into<Fresh>) -> Self {
        Self { fresh: Some(fresh.into()), ..Self::default() }
    }

    /// Takes the slowly varying part from the unconditional answers, and the guidance once a step (CFG++).
    pub fn cfg_pp(self, unconditional: Unconditional) -> Self {
        Self { unconditional: Some(unconditional), ..self }
    }

    /// The distance in lambda to the answer before, and that answer, if the second order is possible.
    fn line(&self, h: f64) -> Option<(f64, Tensor<4>)> {
        let ((from, below), x0) = self.before.clone()?;
        let back = from.h(below);
        (h.is_normal() && back.is_normal()).then_some((back, x0))
    }
}

impl Sampler for ResMultistep {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        let x0 = denoise(x.clone(), from);
        let slow = Unconditional::of(self.unconditional.as_ref(), &x0);
        let (below, deviation) = self.fresh.as_ref().map_or((to, 0.0), |fresh| fresh.below(from, to));
        let h = from.h(below);
        let moved = match self.line(h) {
            None => below.mix(x0, from.eps(x, slow.clone())),
            Some((back, before)) => {
                let phi_2 = 1.0 + (-h).exp_m1() / h;
                let older = -phi_2 * h / back;
                let latest = -(-h).exp_m1() - older;
                let x = match self.unconditional {
                    Some(_) => x + scale(x0 - slow.clone(), from.alpha),
                    None => x,
                };
                let integral = scale(slow.clone(), to.alpha * latest) + scale(before, to.alpha * older);
                scale(x, below.sigma / from.sigma) + integral
            }
        };
        self.before = Some(((from, below), slow));
        match &mut self.fresh {
            Some(fresh) if !to.is_clean() => fresh.add_if_any(moved, from, to, deviation),
            _ => moved,
        }
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("before", &mut self.before);
    }
}
