//! A distribution in the plane whose denoiser, probability-flow ODE and samples are known.

use burn::tensor::{DType, Device, Tensor, TensorData};
use t2i_sched::{Generator, Level};

pub type Point = [f64; 2];

/// Weight, mean and deviation of each Gaussian. Together they have about the mean 0 and the variance 1 of latents.
const PARTS: [(f64, Point, f64); 6] = [
    (0.25, [1.10, 0.35], 0.30),
    (0.20, [-1.05, 0.75], 0.20),
    (0.20, [-0.45, -1.15], 0.35),
    (0.15, [0.75, -1.10], 0.15),
    (0.15, [-0.10, 1.25], 0.25),
    (0.05, [-1.60, -0.60], 0.12),
];

/// `count` exact samples.
pub fn samples(seed: u64, count: usize) -> Vec<Point> {
    let mut generator = Generator::new(seed);
    let noise = generator.randn(3 * count);
    noise
        .chunks_exact(3)
        .map(|n| {
            let (_, mean, deviation) = PARTS[part(normal_cdf(f64::from(n[0])))];
            [mean[0] + deviation * f64::from(n[1]), mean[1] + deviation * f64::from(n[2])]
        })
        .collect()
}

/// The part that a uniform number chooses.
fn part(uniform: f64) -> usize {
    let sums = PARTS.iter().scan(0.0, |sum, (weight, ..)| {
        *sum += weight;
        Some(*sum)
    });
    sums.into_iter().position(|sum| uniform < sum).unwrap_or(PARTS.len() - 1)
}

/// By Simpson's rule, which is exact enough to choose by.
fn normal_cdf(x: f64) -> f64 {
    let (n, x) = (64, x.clamp(-8.0, 8.0));
    let density = |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let weight = |i: i32| if i == 0 || i == n { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
    let sum: f64 = (0..=n).map(|i| weight(i) * density(x * f64::from(i) / f64::from(n))).sum();
    0.5 + sum * x / f64::from(3 * n)
}

/// The sum of `part(mean, variance of the part)`, each weighted by how likely `x` is of it.
fn expected(x: Point, level: Level, part: impl Fn(Point, f64) -> Point) -> Point {
    let Level { alpha, sigma } = level;
    let mut logs = [0.0; PARTS.len()];
    for (log, (weight, mean, deviation)) in logs.iter_mut().zip(PARTS) {
        let variance = (alpha * deviation).powi(2) + sigma * sigma;
        let square = (x[0] - alpha * mean[0]).powi(2) + (x[1] - alpha * mean[1]).powi(2);
        *log = (weight / variance).ln() - square / (2.0 * variance);
    }
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut total) = ([0.0; 2], 0.0);
    for (log, (_, mean, deviation)) in logs.iter().zip(PARTS) {
        let odds = (log - most).exp();
        let value = part(mean, deviation * deviation);
        total += odds;
        sum = [sum[0] + odds * value[0], sum[1] + odds * value[1]];
    }
    [sum[0] / total, sum[1] / total]
}

/// The exact `x0`: the mean of the clean points that `x` may be.
pub fn x0(x: Point, level: Level) -> Point {
    let Level { alpha, sigma } = level;
    expected(x, level, |mean, variance| {
        let share = alpha * variance / (alpha * alpha * variance + sigma * sigma);
        [mean[0] + share * (x[0] - alpha * mean[0]), mean[1] + share * (x[1] - alpha * mean[1])]
    })
}

/// `dx / dsigma` of the probability-flow ODE, `(x - x0) / sigma`, without its division of 0 by 0.
fn slope(x: Point, sigma: f64) -> Point {
    expected(x, Level::ve(sigma), |mean, variance| {
        let share = sigma / (variance + sigma * sigma);
        [share * (x[0] - mean[0]), share * (x[1] - mean[1])]
    })
}

/// One step of the classical Runge-Kutta method.
fn runge_kutta(x: Point, from: f64, to: f64) -> Point {
    let h = to - from;
    let moved = |by: Point, share: f64| [x[0] + share * h * by[0], x[1] + share * h * by[1]];
    let a = slope(x, from);
    let b = slope(moved(a, 0.5), from + h / 2.0);
    let c = slope(moved(b, 0.5), from + h / 2.0);
    let d = slope(moved(c, 1.0), to);
    let mean = |i: usize| (a[i] + 2.0 * b[i] + 2.0 * c[i] + d[i]) / 6.0;
    moved([mean(0), mean(1)], 1.0)
}

/// Where the ODE takes clean points as noise grows: the start of a run whose exact end is known.
pub struct Flow {
    /// Sigmas, and the points there.
    knots: Vec<(f64, Vec<Point>)>,
    finely: usize,
}

impl Flow {
    const KNOTS: usize = 200;

    /// From these clean points up to noise of `sigma_max`, in `finely` steps from knot to knot.
    pub fn new(clean: Vec<Point>, sigma_max: f64, finely: usize) -> Self {
        let mut flow = Self { knots: vec![(0.0, clean)], finely };
        for i in 1..=Self::KNOTS {
            let sigma = sigma_max * (i as f64 / Self::KNOTS as f64).powi(4);
            flow.knots.push((sigma, flow.at(sigma)));
        }
        flow
    }

    /// The points at noise of `sigma`.
    pub fn at(&self, sigma: f64) -> Vec<Point> {
        let after = self.knots.partition_point(|(knot, _)| *knot <= sigma).max(1);
        let (below, points) = &self.knots[after - 1];
        let place = |i: usize| below + (sigma - below) * i as f64 / self.finely as f64;
        let moved = |x: &Point| (0..self.finely).fold(*x, |x, i| runge_kutta(x, place(i), place(i + 1)));
        points.iter().map(moved).collect()
    }

    pub fn clean(&self) -> &[Point] {
        &self.knots[0].1
    }
}

/// `[points, 2, 1, 1]`, in double precision.
pub fn tensor(points: &[Point]) -> Tensor<4> {
    let shape = [points.len(), 2, 1, 1];
    Tensor::from_data(TensorData::new(points.as_flattened().to_vec(), shape), (&Device::flex(), DType::F64))
}

/// The points of a tensor; NaN where they cannot be read.
pub fn points(x: Tensor<4>) -> Vec<Point> {
    let values: Vec<f64> = x.into_data().try_into_vec().unwrap_or_default();
    values.as_chunks().0.to_vec()
}

/// The exact denoiser.
pub fn denoise(x: Tensor<4>, level: Level) -> Tensor<4> {
    let clean: Vec<Point> = points(x).into_iter().map(|x| x0(x, level)).collect();
    tensor(&clean)
}
