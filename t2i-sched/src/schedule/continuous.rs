//! Schedules of a formula: flow matching, and EDM.

use std::f64::consts::FRAC_PI_2;

use super::{Schedule, Table};
use crate::spacing::flow::Shift;
use crate::spacing::k_diffusion;

impl Schedule {
    /// Flow matching at `len` times, `1 / len` to 1, shifted towards noise: diffusers' `FlowMatchEulerDiscreteScheduler`.
    /// The network is told `sigma * len`. <https://arxiv.org/abs/2403.03206>, section 5.3.2
    ///
    /// # Panics
    /// If `len` is 0.
    pub fn flow(len: usize, shift: Shift) -> Self {
        assert!(len > 0, "a schedule needs at least one level");
        let sigma = |i: usize| shift.apply_f32(i as f32 / len as f32);
        Self { table: Table::Flow((1..=len).map(sigma).collect()) }
    }

    /// The schedule of flow matching whose network is told `alpha` times the number of levels, and not `sigma`: Mochi
    /// (`invert_sigmas`). Other schedules stay as they are.
    pub fn inverted(self) -> Self {
        match self.table {
            Table::Flow(sigmas) => Self { table: Table::Inverted(sigmas) },
            table => Self { table },
        }
    }

    /// TrigFlow at `len` evenly spaced angles, the last being pure noise. The network is told the angle, from 0 to
    /// `pi / 2`. <https://arxiv.org/abs/2410.11081>
    ///
    /// # Panics
    /// If `len` is 0.
    pub fn trigflow(len: usize) -> Self {
        assert!(len > 0, "a schedule needs at least one level");
        let angle = |i: usize| (FRAC_PI_2 * i as f64 / len as f64) as f32;
        Self { table: Table::Trigonometric((1..=len).map(angle).collect()) }
    }

    /// EDM with `len` levels whose `rho`-th roots are evenly spaced: 0.002, 80 and 7 in the paper. The network is told
    /// `ln(sigma) / 4`. <https://arxiv.org/abs/2206.00364>, eq. 5 and table 1
    ///
    /// # Panics
    /// If `len` is 0.
    pub fn edm(sigma_min: f64, sigma_max: f64, rho: f64, len: usize) -> Self {
        Self::exploding(k_diffusion::karras(sigma_min, sigma_max, rho, len))
    }

    /// EDM with `len` levels whose logarithms are evenly spaced: CosXL.
    /// <https://huggingface.co/stabilityai/cosxl>
    ///
    /// # Panics
    /// If `len` is 0.
    pub fn edm_exponential(sigma_min: f64, sigma_max: f64, len: usize) -> Self {
        Self::exploding(k_diffusion::exponential(sigma_min, sigma_max, len))
    }

    fn exploding(noisiest_first: Vec<f64>) -> Self {
        assert!(!noisiest_first.is_empty(), "a schedule needs at least one level");
        Self { table: Table::Exploding(noisiest_first.iter().rev().map(|sigma| *sigma as f32).collect()) }
    }
}
