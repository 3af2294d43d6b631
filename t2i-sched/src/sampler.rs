//! The sampler: how to get from one noise level to the next. And the loop, which is an iterator.

use std::borrow::Cow;
use std::convert::Infallible;

use burn::tensor::{Device, Tensor};

use t2i_core::{Error, Result};

use crate::{Level, Memory, Noise, SharedNoise, State};

/// The model, as a sampler sees it: noisy latent and its level in, clean latent `x0` out.
///
/// # Shapes
/// Both latents are `[batch, channels, height, width]`, f32.
pub type Denoise<'a> = &'a mut dyn FnMut(Tensor<4>, Level) -> Tensor<4>;

/// How to get from one noise level to the next.
///
/// Every closure `FnMut(x, from, to, denoise) -> x` is a sampler too. What a sampler remembers between steps is a
/// private field, so that one value serves one picture.
///
/// ```
/// use t2i_sched::{Denoise, Level, steps};
/// use burn::tensor::{Device, Tensor};
///
/// let euler = |x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>| {
///     let x0 = denoise(x.clone(), from);
///     to.mix(x0.clone(), from.eps(x, x0))
/// };
/// let model = |x: Tensor<4>, _: Level| x.zeros_like();
/// let levels = [Level::ve(2.0), Level::ve(1.0), Level::CLEAN];
/// let x = Tensor::ones([1, 4, 8, 8], &Device::flex());
/// assert_eq!(steps(euler, x, &levels, model).count(), 2);
/// ```
pub trait Sampler {
    /// Takes the latent `x` from level `from` to level `to`, calling `denoise` as often as it needs.
    ///
    /// # Shapes
    /// `x` and the result are `[batch, channels, height, width]`.
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4>;

    /// Shows every field that a step changes, so that a run can be saved in the middle. Samplers without a memory need
    /// not have it; noise has its own.
    fn remember(&mut self, memory: &mut Memory<'_>) {
        let _ = memory;
    }
}

impl<F: FnMut(Tensor<4>, Level, Level, Denoise<'_>) -> Tensor<4>> Sampler for F {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        self(x, from, to, denoise)
    }
}

/// A sampler of any kind, as [`SchedulerConfig::sampler`](crate::SchedulerConfig::sampler) makes it.
pub type BoxedSampler<'a> = Box<dyn Sampler + Send + 'a>;

impl Sampler for BoxedSampler<'_> {
    fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
        (**self).step(x, from, to, denoise)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        (**self).remember(memory);
    }
}

/// One step done.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The number of this step, from 0.
    pub index: usize,
    /// How many steps there are.
    pub total: usize,
    /// The level that was reached.
    pub level: Level,
    /// The latent at that level. `[batch, channels, height, width]`
    pub x: Tensor<4>,
    /// The model's latest guess of the clean latent, for previews. `[batch, channels, height, width]`
    pub x0: Tensor<4>,
}

/// Visits `levels` in order, starting from the latent `x` at the first of them. Each item is a step; dropping the
/// iterator stops.
///
/// # Shapes
/// `x` is `[batch, channels, height, width]`.
pub fn steps<'a>(
    sampler: impl Sampler + 'a,
    x: Tensor<4>,
    levels: impl Into<Cow<'a, [Level]>>,
    mut denoise: impl FnMut(Tensor<4>, Level) -> Tensor<4> + 'a,
) -> impl ExactSizeIterator<Item = Progress> + 'a {
    let denoise = move |x: Tensor<4>, level: Level| Ok::<_, Infallible>(denoise(x, level));
    try_steps(sampler, x, levels, denoise).map(|step| match step {
        Ok(progress) => progress,
        Err(never) => match never {},
    })
}

/// [`steps`] for a model that can fail. A sampler never sees the failure: the step is finished with `x` in the place
/// of `x0` and thrown away, its item is the error, and the iteration ends there. Until then the iterator's length is
/// that of an undisturbed run.
///
/// # Shapes
/// `x` is `[batch, channels, height, width]`.
pub fn try_steps<'a, E: 'a>(
    sampler: impl Sampler + 'a,
    x: Tensor<4>,
    levels: impl Into<Cow<'a, [Level]>>,
    denoise: impl FnMut(Tensor<4>, Level) -> Result<Tensor<4>, E> + 'a,
) -> Steps<'a, impl Sampler + 'a, impl FnMut(Tensor<4>, Level) -> Result<Tensor<4>, E> + 'a> {
    Steps { sampler, denoise, levels: levels.into(), index: 0, x: Some(x) }
}

/// The loop of [`try_steps`].
pub struct Steps<'a, S, D> {
    sampler: S,
    denoise: D,
    levels: Cow<'a, [Level]>,
    index: usize,
    /// `None` after a failure.
    x: Option<Tensor<4>>,
}

impl<S: Sampler, D> Steps<'_, S, D> {
    /// The latent as it stands, `[batch, channels, height, width]`; `None` after a failure.
    pub fn latent(&self) -> Option<Tensor<4>> {
        self.x.clone()
    }

    /// Saves the run as it stands between two steps, and `noise` with it: the source that its sampler draws from.
    pub fn save(&mut self, noise: &mut SharedNoise) -> State {
        let mut state = State::default();
        self.remember(noise, &mut Memory::saving(&mut state));
        state
    }

    /// Goes on where a saved run stood. This one must have the same levels and a sampler and noise of the same kind,
    /// as far along as they like.
    ///
    /// # Errors
    /// If the state is of another sampler or noise, or of a longer run. This run is then of no use.
    pub fn resume(&mut self, state: &State, noise: &mut SharedNoise, device: &Device) -> Result<()> {
        let mut memory = Memory::loading(state, device);
        self.remember(noise, &mut memory);
        memory.finish()?;
        match self.index < self.levels.len() {
            true => Ok(()),
            false => Err(Error::InvalidValue {
                field: "saved run",
                value: format!("at step {}", self.index),
                expected: format!("of at most {} steps", self.levels.len().saturating_sub(1)),
            }),
        }
    }

    fn remember(&mut self, noise: &mut SharedNoise, memory: &mut Memory<'_>) {
        memory.keep("index", &mut self.index);
        memory.keep("x", &mut self.x);
        memory.part("sampler", |memory| self.sampler.remember(memory));
        memory.part("noise", |memory| noise.remember(memory));
    }
}

impl<S, D, E> Iterator for Steps<'_, S, D>
where
    S: Sampler,
    D: FnMut(Tensor<4>, Level) -> Result<Tensor<4>, E>,
{
    type Item = Result<Progress, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let &[from, to] = self.levels.get(self.index..self.index + 2)? else {
            return None;
        };
        let total = self.levels.len() - 1;
        let start = self.x.take()?;
        let mut guess = start.clone();
        let mut failure = None;
        let mut denoise = |x: Tensor<4>, level: Level| match (self.denoise)(x.clone(), level) {
            Ok(x0) => {
                guess = x0.clone();
                x0
            }
            Err(error) => {
                failure.get_or_insert(error);
                x
            }
        };
        let x = self.sampler.step(start, from, to, &mut denoise);
        if let Some(error) = failure {
            return Some(Err(error));
        }
        self.x = Some(x.clone());
        self.index += 1;
        let (index, level, x0) = (self.index - 1, to, guess);
        Some(Ok(Progress { index, total, level, x, x0 }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self.x {
            Some(_) => self.levels.len().saturating_sub(1).saturating_sub(self.index),
            None => 0,
        };
        (left, Some(left))
    }
}

impl<S, D, E> ExactSizeIterator for Steps<'_, S, D>
where
    S: Sampler,
    D: FnMut(Tensor<4>, Level) -> Result<Tensor<4>, E>,
{
}
