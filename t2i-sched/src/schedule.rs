//! The noise levels that a model learned.

mod betas;

pub use betas::{cosine, exponential, laplace, linear, scaled_linear, sigmoid, zero_terminal_snr};

pub(crate) use betas::linspace as linspace_f32;

use crate::Level;

/// The table of noise levels that a model learned, in the f32 arithmetic of torch; index = timestep.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    alphas_cumprod: Vec<f32>,
}

impl Schedule {
    /// The schedule of these `betas`, the variances of the forward process's steps, each in `[0, 1]`:
    /// `alphas_cumprod[t] = (1 - betas[0]) * ... * (1 - betas[t])`. <https://arxiv.org/abs/2006.11239>, eq. 4
    ///
    /// # Panics
    /// If `betas` is empty.
    pub fn from_betas(betas: &[f32]) -> Self {
        assert!(!betas.is_empty(), "a schedule needs at least one beta");
        Self { alphas_cumprod: betas::alphas_cumprod(betas) }
    }

    /// Stable Diffusion 1.x, 2.x and XL.
    /// <https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/scheduler/scheduler_config.json>
    pub fn stable_diffusion() -> Self {
        Self::from_betas(&scaled_linear(0.00085, 0.012, 1000))
    }

    /// Gives the last level a hair of image (`alphas_cumprod = 2^-24`), so that its variance-exploding sigma is
    /// finite: what diffusers' Euler, DPM-Solver and UniPC classes do to schedules of zero terminal SNR.
    pub fn finite(mut self) -> Self {
        if let Some(last) = self.alphas_cumprod.last_mut() {
            *last = 2f32.powi(-24);
        }
        self
    }

    /// How many levels there are: the number of training timesteps.
    #[allow(clippy::len_without_is_empty)] // it never is
    pub fn len(&self) -> usize {
        self.alphas_cumprod.len()
    }

    /// `alpha^2` of each level, cleanest first.
    pub fn alphas_cumprod(&self) -> &[f32] {
        &self.alphas_cumprod
    }

    /// The variance-preserving level of a timestep.
    ///
    /// # Panics
    /// If `timestep >= self.len()`.
    pub fn level(&self, timestep: usize) -> Level {
        Level::vp(f64::from(self.alphas_cumprod[timestep]))
    }

    /// The variance-exploding sigma of each level, cleanest first.
    pub fn sigmas(&self) -> Vec<f32> {
        self.alphas_cumprod.iter().map(|a| ((1.0 - a) / a).sqrt()).collect()
    }

    /// The timestep of a level: where its [`lambda`](Level::lambda) lies in the table, with linear interpolation;
    /// the nearest end for levels outside of it. Any coordinates will do.
    pub fn timestep(&self, level: Level) -> f64 {
        let noise = |t: usize| -self.level(t).lambda();
        let noise_wanted = -level.lambda();
        let above = self.alphas_cumprod.partition_point(|a| -Level::vp(f64::from(*a)).lambda() <= noise_wanted);
        if above == 0 || above == self.len() {
            return above.saturating_sub(1) as f64;
        }
        let (low, high) = (noise(above - 1), noise(above));
        let share = if high.is_infinite() { 0.0 } else { (noise_wanted - low) / (high - low) };
        (above - 1) as f64 + share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_the_table_has_its_own_timestep() {
        let schedule = Schedule::stable_diffusion();
        for t in [0, 1, 500, 998, 999] {
            let level = schedule.level(t);
            assert!((schedule.timestep(level) - t as f64).abs() < 1e-9);
            assert!((schedule.timestep(level.to_ve()) - t as f64).abs() < 1e-6);
        }
    }

    #[test]
    fn levels_outside_the_table_have_the_timestep_of_its_end() {
        let schedule = Schedule::stable_diffusion();
        assert_eq!(schedule.timestep(Level::CLEAN), 0.0);
        assert_eq!(schedule.timestep(Level::vp(0.0)), 999.0);
    }
}
