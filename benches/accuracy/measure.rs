//! What a sampler's run is measured by.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use burn::tensor::{DType, Device, Tensor, TensorData};
use t2i_sched::{Generator, Level, Noise, Recipe, SamplerName, Schedule, Setup, SharedNoise, SpacingName, steps};

use crate::mixture::{self, Flow, Point};

/// Points of a run.
pub const POINTS: usize = 4096;
/// Exact samples to a point of a run.
const MORE: usize = 16;
/// Directions in which distributions are compared.
const DIRECTIONS: usize = 32;
/// Beyond the noisiest level of any spacing.
const SIGMA_MAX: f64 = 1000.0;

/// One run's result.
#[derive(Clone, Copy)]
pub struct Run {
    /// Calls of the model.
    pub calls: usize,
    /// Of the end points, from where the ODE ends: root mean square.
    pub distance: f64,
    /// Of the end points' distribution, from the exact one.
    pub divergence: f64,
}

/// A sampler, whether its end depends on the seed, and how often it asks the model in a step.
#[derive(Clone, Copy, PartialEq)]
pub struct Subject {
    pub sampler: SamplerName,
    pub draws: bool,
    pub calls: usize,
}

impl Subject {
    pub fn all() -> Vec<Self> {
        SamplerName::all().map(Self::new).collect()
    }

    fn new(sampler: SamplerName) -> Self {
        let levels: Vec<Level> = [9.0, 5.0, 2.0, 1.0, 0.4, 0.1, 0.0].map(Level::ve).to_vec();
        let end = |seed| {
            let start = mixture::tensor(&[[9.0, 4.0]]);
            let sampler = sampler.build(&Setup::new(&levels, &noise(seed)));
            let last = steps(sampler, start, &levels, mixture::denoise).last();
            last.map(|step| mixture::points(step.x))
        };
        let calls = Cell::new(0usize);
        let model = |x: Tensor<4>, level: Level| {
            calls.set(calls.get() + 1);
            mixture::denoise(x, level)
        };
        let start = mixture::tensor(&[[9.0, 4.0]]);
        steps(sampler.build(&Setup::new(&levels, &noise(1))), start, &levels, model).take(3).for_each(drop);
        Self { sampler, draws: end(1) != end(2), calls: calls.get().div_ceil(3) }
    }

    /// What its runs are judged by.
    pub fn error(&self, run: &Run) -> f64 {
        if self.draws { run.divergence } else { run.distance }
    }
}

/// Torch's noise in double precision.
struct Double(Generator);

impl Noise for Double {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let values = self.0.randn(shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape).convert_dtype(DType::F64), (device, DType::F64))
    }
}

fn noise(seed: u64) -> SharedNoise {
    SharedNoise::new(Double(Generator::new(seed)))
}

/// What is known exactly.
pub struct Truth {
    schedule: Schedule,
    ends: (f64, f64),
    flow: Flow,
    /// By the bits of their sigma.
    starts: RefCell<HashMap<u64, Vec<Point>>>,
    /// In each direction, the means of equal shares of the sorted exact samples.
    quantiles: Vec<Vec<f64>>,
}

impl Truth {
    pub fn new() -> Self {
        let schedule = Schedule::stable_diffusion();
        let sigma = |timestep| schedule.level(timestep).to_ve().sigma;
        let ends = (sigma(0), sigma(schedule.len() - 1));
        let many = mixture::samples(1, POINTS * MORE);
        let mean = |share: &[f64]| share.iter().sum::<f64>() / MORE as f64;
        let quantiles = directions().map(|axis| sorted(&many, axis).chunks_exact(MORE).map(mean).collect()).collect();
        let flow = Flow::new(mixture::samples(0, POINTS), SIGMA_MAX, 4);
        Self { flow, schedule, ends, quantiles, starts: RefCell::default() }
    }

    /// The largest change of a start at the noisiest level of the schedule, if the ODE is solved twice as finely.
    pub fn uncertainty(&self) -> f64 {
        let finer = Flow::new(self.flow.clean().to_vec(), SIGMA_MAX, 8);
        let pairs = self.flow.at(self.ends.1).into_iter().zip(finer.at(self.ends.1));
        pairs.map(|(a, b)| (a[0] - b[0]).abs().max((a[1] - b[1]).abs())).fold(0.0, f64::max)
    }

    /// What the distance between distributions is for exact samples, as few as those of a run.
    pub fn floor(&self) -> f64 {
        let of = |seed| self.divergence(&mixture::samples(seed, POINTS));
        (100..116).map(of).sum::<f64>() / 16.0
    }

    fn levels(&self, sampler: SamplerName, spacing: SpacingName, n: usize) -> Vec<Level> {
        let recipe = Recipe { sampler, spacing: Some(spacing) };
        recipe.levels(&self.schedule, self.ends.0, self.ends.1, n).unwrap_or_default()
    }

    /// Whether the sampler visits levels of its own, whatever the spacing.
    pub fn own_levels(&self, sampler: SamplerName) -> bool {
        let of = |spacing| self.levels(sampler, spacing, 7);
        of(SpacingName::Karras) == of(SpacingName::Simple)
    }

    /// A run of a sampler that asks the model as often as it likes, whatever the number of steps.
    pub fn free(&self, subject: Subject) -> Option<Run> {
        let calls = |n| self.go(subject, crate::USUAL, n, 1).map(|(calls, _)| calls);
        (calls(5) == calls(50)).then(|| self.run(subject, crate::USUAL, 50))?
    }

    /// The run of the most steps for no more than `budget` calls of the model.
    pub fn within(&self, subject: Subject, spacing: SpacingName, budget: usize) -> Option<Run> {
        let calls = |n: usize| self.go(subject, spacing, n, 1).map_or(usize::MAX, |(calls, _)| calls);
        let (mut fits, mut over) = (0, budget + 2);
        while over - fits > 1 {
            let middle = (fits + over) / 2;
            if calls(middle) <= budget { fits = middle } else { over = middle }
        }
        self.run(subject, spacing, fits)
    }

    /// A run of `n` steps.
    fn run(&self, subject: Subject, spacing: SpacingName, n: usize) -> Option<Run> {
        let (calls, end) = self.go(subject, spacing, n, POINTS)?;
        let square = |(a, b): (&Point, &Point)| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
        let sum: f64 = end.iter().zip(self.flow.clean()).map(square).sum();
        Some(Run { calls, distance: (sum / POINTS as f64).sqrt(), divergence: self.divergence(&end) })
    }

    /// The calls and the end of a run of the first points.
    fn go(&self, subject: Subject, spacing: SpacingName, n: usize, points: usize) -> Option<(usize, Vec<Point>)> {
        let levels = if n == 0 { Vec::new() } else { self.levels(subject.sampler, spacing, n) };
        let first = levels.first()?;
        let start = match points {
            POINTS => self.start(first.sigma),
            _ => mixture::tensor(&self.flow.clean()[..points]).mul_scalar(first.sigma),
        };
        let noise = noise(7);
        let sampler = subject.sampler.build(&Setup { steps: n, ..Setup::new(&levels, &noise) });
        let calls = Cell::new(0usize);
        let model = |x: Tensor<4>, level: Level| {
            calls.set(calls.get() + 1);
            mixture::denoise(x, level)
        };
        let end = steps(sampler, start, &levels, model).last()?.x;
        Some((calls.get(), mixture::points(end)))
    }

    fn start(&self, sigma: f64) -> Tensor<4> {
        let mut starts = self.starts.borrow_mut();
        mixture::tensor(starts.entry(sigma.to_bits()).or_insert_with(|| self.flow.at(sigma)))
    }

    /// The sliced Wasserstein distance of second order: the root mean square way from the sorted points to the exact
    /// quantiles, over all directions. <https://arxiv.org/abs/1503.03480>
    fn divergence(&self, points: &[Point]) -> f64 {
        let squares = directions().zip(&self.quantiles).map(|(axis, quantiles)| {
            let found = sorted(points, axis);
            found.iter().zip(quantiles).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
        });
        (squares.sum::<f64>() / (POINTS * DIRECTIONS) as f64).sqrt()
    }
}

fn directions() -> impl Iterator<Item = Point> {
    let angle = |i| std::f64::consts::PI * i as f64 / DIRECTIONS as f64;
    (0..DIRECTIONS).map(move |i| [angle(i).cos(), angle(i).sin()])
}

fn sorted(points: &[Point], axis: Point) -> Vec<f64> {
    let mut along: Vec<f64> = points.iter().map(|p| p[0] * axis[0] + p[1] * axis[1]).collect();
    along.sort_by(f64::total_cmp);
    along
}
