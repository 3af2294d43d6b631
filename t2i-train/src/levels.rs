//! Which noise levels a batch is trained at.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor};
use rand::Rng;
use t2i_core::{Error, Result};
use t2i_sched::{Level, Schedule};

/// Every noise level of a schedule beside what the network is told there, worked out once.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingLevels {
    rows: Vec<(f32, Level)>,
    shift: f64,
}

/// The noise levels of a batch, one a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledLevels {
    /// What the network is told, as the `timestep` of [`Schedule`].
    pub timesteps: Vec<f32>,
    /// How much noise there is.
    pub levels: Vec<Level>,
}

impl TrainingLevels {
    /// The levels of `schedule`.
    pub fn new(schedule: &Schedule) -> Self {
        let row = |place| {
            let level = schedule.level(place);
            (schedule.timestep(level) as f32, level)
        };
        Self { rows: (0..schedule.len()).map(row).collect(), shift: 1.0 }
    }

    /// The same levels, drawn so that noisy ones come more often: a place `u` drawn evenly between 0 and 1 becomes
    /// `shift * u / (1 + (shift - 1) * u)`, as in [Esser et al. 2024](https://arxiv.org/abs/2403.03206), section 5.3.2.
    /// What a caption changes is decided in the noisy levels; in the others the network sees what there is.
    ///
    /// # Errors
    /// If `shift` is not a number above 0. With 1 every level is as likely as another.
    pub fn shifted(self, shift: f64) -> Result<Self> {
        if shift.is_finite() && shift > 0.0 {
            return Ok(Self { shift, ..self });
        }
        Err(Error::InvalidValue { field: "shift", value: shift.to_string(), expected: "a number above 0".to_owned() })
    }

    /// How many levels there are.
    #[allow(clippy::len_without_is_empty)] // it never is
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// A level for each of `batch` samples, each as likely as another if they are not [`shifted`](Self::shifted).
    pub fn sample(&self, batch: usize, random: &mut impl Rng) -> SampledLevels {
        let place = |u: f64| self.shift * u / (1.0 + (self.shift - 1.0) * u);
        let n = self.rows.len();
        let places: Vec<_> = (0..batch).map(|_| (place(random.random()) * n as f64) as usize).collect();
        self.at(&places.into_iter().map(|place| place.min(n - 1)).collect::<Vec<_>>())
    }

    /// The levels of these places in the schedule, from 0 for the cleanest: the timesteps of a schedule of betas.
    ///
    /// # Panics
    /// If a place is beyond the schedule.
    pub fn at(&self, places: &[usize]) -> SampledLevels {
        let (timesteps, levels) = places.iter().map(|place| self.rows[*place]).unzip();
        SampledLevels { timesteps, levels }
    }
}

impl SampledLevels {
    /// The levels of a part of the batch.
    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        Self { timesteps: self.timesteps[range.clone()].to_vec(), levels: self.levels[range].to_vec() }
    }

    /// The timesteps as the network takes them. `[batch]`
    pub fn timesteps(&self, device: &Device) -> Tensor<1> {
        Tensor::from_data(self.timesteps.as_slice(), (device, DType::F32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use t2i_sched::{linear, zero_terminal_snr};

    #[test]
    fn rows_are_those_of_the_schedule() {
        let schedule = Schedule::from_betas(&zero_terminal_snr(&linear(1e-4, 0.02, 1000)));
        let rows = TrainingLevels::new(&schedule).at(&[0, 7, 999]);
        assert_eq!(rows.timesteps, [0.0, 7.0, 999.0]);
        assert_eq!(rows.levels, [0, 7, 999].map(|t| schedule.level(t)));
        assert_eq!(rows.levels[2].alpha, 0.0);
        let all: Vec<_> = (0..1000).collect();
        assert_eq!(
            TrainingLevels::new(&schedule).at(&all).timesteps,
            all.iter().map(|t| *t as f32).collect::<Vec<_>>()
        );
    }

    /// 100,000 draws of 10 levels: each 10,000 times but for 4 deviations (95 each).
    #[test]
    fn every_level_is_as_likely() {
        let levels = TrainingLevels::new(&Schedule::from_betas(&linear(1e-4, 0.02, 10)));
        let drawn = levels.sample(100_000, &mut ChaCha8Rng::seed_from_u64(0));
        let mut counts = [0i32; 10];
        drawn.timesteps.iter().for_each(|t| counts[*t as usize] += 1);
        assert!(counts.iter().all(|count| (count - 10_000).abs() < 400), "{counts:?}");
    }

    /// With a shift of 3 the noisier half is drawn when `3 u / (1 + 2 u) > 1 / 2`: for `u > 1 / 4`.
    #[test]
    fn a_shift_draws_noisy_levels_more_often() {
        let schedule = Schedule::from_betas(&linear(1e-4, 0.02, 1000));
        let levels = TrainingLevels::new(&schedule).shifted(3.0).expect("above 0");
        let drawn = levels.sample(100_000, &mut ChaCha8Rng::seed_from_u64(0)).timesteps;
        let noisy = drawn.iter().filter(|t| **t >= 500.0).count() as f64 / drawn.len() as f64;
        assert!((noisy - 0.75).abs() < 0.006, "{noisy}");
        assert!(drawn.contains(&999.0) && drawn.iter().any(|t| *t < 10.0));
        for shift in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(levels.clone().shifted(shift), Err(Error::InvalidValue { field: "shift", .. })));
        }
    }

    #[test]
    fn one_seed_gives_one_batch() {
        let levels = TrainingLevels::new(&Schedule::stable_diffusion());
        let draw = |seed| levels.sample(4, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
