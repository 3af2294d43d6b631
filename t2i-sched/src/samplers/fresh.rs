//! The fresh noise of a stochastic sampler.

use burn::tensor::Tensor;

use super::place::{Arithmetic, Place};
use super::{ancestral, single};
use crate::level::scale;
use crate::{Level, Noise, SharedNoise};

/// Where a stochastic sampler draws from, and how much noise it takes.
///
/// ```
/// use t2i_sched::SharedNoise;
/// use t2i_sched::samplers::{EulerAncestral, Fresh};
///
/// let noise = SharedNoise::seeded(42);
/// let usual = EulerAncestral::new(noise.clone());
/// let calmer = EulerAncestral::new(Fresh::new(noise).eta(0.5));
/// ```
#[derive(Debug, Clone)]
pub struct Fresh {
    pub(super) noise: SharedNoise,
    pub(super) eta: f64,
    pub(super) scale: f64,
    pub(super) arithmetic: Arithmetic,
}

impl Fresh {
    /// Noise as the sampler's equation has it.
    pub fn new(noise: SharedNoise) -> Self {
        Self { noise, eta: 1.0, scale: 1.0, arithmetic: Arithmetic::Double }
    }

    /// The share of the noise that is drawn anew (`eta`): 0 is the deterministic sampler, 1 is usual.
    pub fn eta(self, eta: f64) -> Self {
        Self { eta, ..self }
    }

    /// The deviation of the noise that is drawn (`s_noise`), 1 by rights.
    pub fn scale(self, scale: f64) -> Self {
        Self { scale, ..self }
    }

    /// Rounds at variance-exploding levels as k-diffusion does, whose levels are f32. One sees it where a step goes down to
    /// a hundredth of `sigma`, as in runs of two steps, and on a Brownian path.
    pub fn in_f32(self) -> Self {
        Self { arithmetic: Arithmetic::Single, ..self }
    }

    /// `from`, the level at this share of the way in `lambda`, and `to`.
    pub(super) fn stages(&self, from: Level, to: Level, share: f64) -> [Level; 3] {
        match self.arithmetic.is_single(from, to) {
            true => single::stages(from, to, share),
            false => [from, from.toward(to, share), to],
        }
    }

    /// The level below `to` that the latent's own noise goes down to, and the deviation of the noise that takes it up
    /// to `to` again.
    pub(super) fn below(&self, from: Level, to: Level) -> (Level, f64) {
        let (kept, fresh) = match self.arithmetic.is_single(from, to) {
            true => single::split(from, to, self.eta),
            false => ancestral::split(from, to, self.eta),
        };
        (Level { sigma: kept, ..to }, fresh.min(to.sigma))
    }

    /// [`below`](Self::below), but not below the end of the run.
    pub(super) fn below_until(&self, from: Level, to: Level, end: Level) -> (Level, f64) {
        let (below, _) = self.below(from, to);
        let sigma = below.sigma.max(to.alpha * end.to_ve().sigma).min(to.sigma);
        (Level { sigma, ..to }, (to.sigma.powi(2) - sigma.powi(2)).sqrt())
    }

    /// The same of places.
    pub(super) fn below_place(&self, from: Place, to: Place, end: Place) -> (Place, f64) {
        if let [Place::Time(from), Place::Time(to), Place::Time(end)] = [from, to, end] {
            let (below, deviation) = single::below_until(from, to, end, self.eta);
            return (Place::Time(below), deviation);
        }
        let (below, deviation) = self.below_until(from.level(), to.level(), end.level());
        (Place::Level(below), deviation)
    }

    /// Whether a step down to `below` takes noise up to `to`. In k-diffusion's DPM2 a it does not where nothing is kept,
    /// which f32 numbers say of a step from 157 to 0.01.
    pub(super) fn takes_noise(&self, from: Level, below: Level, to: Level) -> bool {
        !(to.is_clean() || below.is_clean() && self.arithmetic.is_single(from, to))
    }

    /// `x` and noise of this deviation, that of the step between the levels.
    pub(super) fn add(&mut self, x: Tensor<4>, from: Level, to: Level, deviation: f64) -> Tensor<4> {
        let noise = self.noise.between(from, to, x.dims(), &x.device());
        x + scale(noise, self.arithmetic.round(self.scale) * deviation)
    }

    /// [`add`](Self::add), but nothing is drawn where no noise is taken, as in ComfyUI.
    pub(super) fn add_if_any(&mut self, x: Tensor<4>, from: Level, to: Level, deviation: f64) -> Tensor<4> {
        if self.is_none() { x } else { self.add(x, from, to, deviation) }
    }

    /// Whether no noise is taken.
    pub(super) fn is_none(&self) -> bool {
        self.eta == 0.0 || self.scale == 0.0
    }
}

impl From<SharedNoise> for Fresh {
    fn from(noise: SharedNoise) -> Self {
        Self::new(noise)
    }
}
