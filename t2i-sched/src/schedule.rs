//! The noise levels that a model learned.

mod betas;
mod continuous;

pub use betas::{cosine, exponential, laplace, linear, scaled_linear, sigmoid, zero_terminal_snr};

pub(crate) use betas::linspace as linspace_f32;

use crate::Level;

/// The noise levels that a model learned, cleanest first, and what it is told at each.
///
/// | made by | levels | the network is told |
/// |---|---|---|
/// | [`from_betas`](Self::from_betas) | variance preserving, a table in the f32 arithmetic of torch | the place in the table |
/// | [`flow`](Self::flow) | flow | `sigma` times the number of levels |
/// | [`trigflow`](Self::trigflow) | variance preserving | the angle |
/// | [`edm`](Self::edm), [`edm_exponential`](Self::edm_exponential) | variance exploding | `ln(sigma) / 4` |
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    table: Table,
}

/// One number a level.
#[derive(Debug, Clone, PartialEq)]
enum Table {
    /// `alpha^2` of variance-preserving levels.
    Preserving(Vec<f32>),
    /// `sigma` of flow levels.
    Flow(Vec<f32>),
    /// `sigma` of flow levels, for a network that is told `alpha`.
    Inverted(Vec<f32>),
    /// The angle of variance-preserving levels.
    Trigonometric(Vec<f32>),
    /// `sigma` of variance-exploding levels.
    Exploding(Vec<f32>),
}

impl Schedule {
    /// The schedule of these `betas`, the variances of the forward process's steps, each in `[0, 1]`:
    /// `alphas_cumprod[t] = (1 - betas[0]) * ... * (1 - betas[t])`. <https://arxiv.org/abs/2006.11239>, eq. 4
    ///
    /// # Panics
    /// If `betas` is empty.
    pub fn from_betas(betas: &[f32]) -> Self {
        assert!(!betas.is_empty(), "a schedule needs at least one beta");
        Self { table: Table::Preserving(betas::alphas_cumprod(betas)) }
    }

    /// The schedule of these `alpha^2`, cleanest first.
    pub(crate) fn from_alphas_cumprod(alphas_cumprod: Vec<f32>) -> Self {
        Self { table: Table::Preserving(alphas_cumprod) }
    }

    /// Stable Diffusion 1.x, 2.x and XL.
    /// <https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/scheduler/scheduler_config.json>
    pub fn stable_diffusion() -> Self {
        Self::from_betas(&scaled_linear(0.00085, 0.012, 1000))
    }

    /// Gives the last level a hair of image (`alphas_cumprod = 2^-24`), so that its variance-exploding sigma is
    /// finite: what diffusers' Euler, DPM-Solver and UniPC classes do to schedules of zero terminal SNR.
    pub fn finite(mut self) -> Self {
        if let Table::Preserving(alphas_cumprod) = &mut self.table
            && let Some(last) = alphas_cumprod.last_mut()
        {
            *last = 2f32.powi(-24);
        }
        self
    }

    /// How many levels there are: the number of training timesteps.
    #[allow(clippy::len_without_is_empty)] // it never is
    pub fn len(&self) -> usize {
        self.numbers().len()
    }

    /// `alpha^2` of each level, cleanest first. Empty for a schedule that is not made of betas.
    pub fn alphas_cumprod(&self) -> &[f32] {
        match &self.table {
            Table::Preserving(alphas_cumprod) => alphas_cumprod,
            _ => &[],
        }
    }

    /// The level of this place in the table, from 0 for the cleanest. For a schedule of betas that is the timestep.
    ///
    /// # Panics
    /// If `place >= self.len()`.
    pub fn level(&self, place: usize) -> Level {
        let number = self.numbers()[place];
        match self.table {
            Table::Preserving(_) => Level::vp_f32(number),
            Table::Flow(_) | Table::Inverted(_) => Level::flow(f64::from(number)),
            Table::Trigonometric(_) => Level::trigflow(f64::from(number)),
            Table::Exploding(_) => Level::ve(f64::from(number)),
        }
    }

    /// The sigma of each level, cleanest first: the variance-exploding one, but that of flow for flow matching.
    pub fn sigmas(&self) -> Vec<f32> {
        match &self.table {
            Table::Preserving(alphas_cumprod) => alphas_cumprod.iter().map(|a| ((1.0 - a) / a).sqrt()).collect(),
            Table::Trigonometric(angles) => angles.iter().map(|angle| angle.tan()).collect(),
            Table::Flow(sigmas) | Table::Inverted(sigmas) | Table::Exploding(sigmas) => sigmas.clone(),
        }
    }

    /// What the network is told at a level, in any coordinates. For a schedule of betas that is where its
    /// [`lambda`](Level::lambda) lies in the table, with linear interpolation; for levels outside of the table it is
    /// the nearest end of it.
    pub fn timestep(&self, level: Level) -> f64 {
        match &self.table {
            Table::Preserving(alphas_cumprod) => self.timestep_of_table(alphas_cumprod, level),
            Table::Flow(sigmas) => level.sigma / (level.alpha + level.sigma) * sigmas.len() as f64,
            Table::Inverted(sigmas) => level.alpha / (level.alpha + level.sigma) * sigmas.len() as f64,
            Table::Trigonometric(_) => level.sigma.atan2(level.alpha),
            Table::Exploding(sigmas) => {
                let ends = (f64::from(sigmas[0]), f64::from(sigmas[sigmas.len() - 1]));
                0.25 * level.to_ve().sigma.max(ends.0).min(ends.1).ln()
            }
        }
    }

    fn timestep_of_table(&self, alphas_cumprod: &[f32], level: Level) -> f64 {
        let noise = |t: usize| -self.level(t).lambda();
        let noise_wanted = -level.lambda();
        let above = alphas_cumprod.partition_point(|a| -Level::vp_f32(*a).lambda() <= noise_wanted);
        if above == 0 || above == self.len() {
            return above.saturating_sub(1) as f64;
        }
        let (low, high) = (noise(above - 1), noise(above));
        let share = if high.is_infinite() { 0.0 } else { (noise_wanted - low) / (high - low) };
        (above - 1) as f64 + share
    }

    fn numbers(&self) -> &[f32] {
        match &self.table {
            Table::Preserving(numbers)
            | Table::Flow(numbers)
            | Table::Inverted(numbers)
            | Table::Trigonometric(numbers)
            | Table::Exploding(numbers) => numbers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spacing::flow::Shift;

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

    #[test]
    fn flow_and_edm_are_told_functions_of_sigma() {
        let flow = Schedule::flow(1000, Shift::Fixed(3.0));
        assert_eq!(flow.level(999), Level::flow(1.0));
        assert!((flow.timestep(Level::flow(0.25)) - 250.0).abs() < 1e-9);
        assert!((flow.timestep(Level::flow(0.25).to_ve()) - 250.0).abs() < 1e-9);
        let edm = Schedule::edm(0.002, 80.0, 7.0, 1000);
        assert_eq!(edm.len(), 1000);
        assert!((edm.level(0).sigma - 0.002).abs() < 1e-8 && (edm.level(999).sigma - 80.0).abs() < 1e-4);
        assert!((edm.timestep(Level::ve(2.0)) - 0.25 * 2f64.ln()).abs() < 1e-12);
        assert!(edm.timestep(Level::CLEAN).is_finite() && edm.timestep(Level::vp(0.0)).is_finite());
    }
}
