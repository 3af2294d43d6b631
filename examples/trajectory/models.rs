//! Models whose answers are known.

use clap::ValueEnum;
use t2i::prelude::*;
use t2i::{Error, Result};

use crate::course::Course;

/// A model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Model {
    /// diffusers' test model: its output is input * t / (t + 1)
    Dummy,
    /// The exact answer for data of mean 0 and variance 1
    Gaussian,
    /// The exact answer for eight Gaussians on a circle, in the plane of two channels
    Mixture,
}

/// The mixture: the radius of the circle, the number of its Gaussians, and the standard deviation of each.
const RADIUS: f64 = 1.5;
const COMPONENTS: usize = 8;
const DEVIATION: f64 = 0.1;

impl Model {
    /// # Errors
    /// If the latent has not the channels that the model needs.
    pub(crate) fn check(self, x: &Tensor<4>) -> Result<()> {
        let [_, channels, _, _] = x.dims();
        if self == Self::Mixture && channels != 2 {
            let expected = "[batch, 2, height, width] for the mixture, which lives in a plane".to_owned();
            return Err(Error::InvalidValue { field: "noise", value: format!("{:?}", x.dims()), expected });
        }
        Ok(())
    }

    /// The clean latent that the model sees in `x`.
    ///
    /// # Shapes
    /// `x` and the result are `[batch, channels, height, width]`.
    pub(crate) fn x0(self, course: &Course, x: Tensor<4>, level: Level) -> Tensor<4> {
        match self {
            Self::Dummy => {
                let (prediction, t) = (course.prediction, course.timestep(level));
                let output = prediction.input(x.clone(), level).mul_scalar(t).div_scalar(t + 1.0);
                prediction.x0(output, x, level)
            }
            Self::Gaussian if level.alpha == 1.0 => {
                let sigma = level.sigma as f32; // as k-diffusion's levels are: DPM adaptive sees the last digit
                x.div_scalar(1.0 + sigma * sigma)
            }
            Self::Gaussian => x.mul_scalar(level.alpha / level.norm().powi(2)),
            Self::Mixture => mixture(x, level),
        }
    }
}

/// The posterior mean: that of each Gaussian, weighted by how likely it made `x`.
fn mixture(x: Tensor<4>, Level { alpha, sigma }: Level) -> Tensor<4> {
    let spread = alpha.powi(2) * DEVIATION.powi(2) + sigma.powi(2);
    let (gain, device) = (alpha * DEVIATION.powi(2) / spread, x.device());
    let centre = |i: usize| {
        let angle = std::f64::consts::TAU * i as f64 / COMPONENTS as f64;
        Tensor::<1>::from_data([RADIUS * angle.cos(), RADIUS * angle.sin()], &device).reshape([1, 2, 1, 1])
    };
    let parts: Vec<(Tensor<4>, Tensor<4>)> = (0..COMPONENTS)
        .map(|i| {
            let off = x.clone() - centre(i).mul_scalar(alpha);
            let log_weight = off.clone().powi_scalar(2).sum_dim(1).mul_scalar(-0.5 / spread); // [batch, 1, height, width]
            (log_weight, off.mul_scalar(gain) + centre(i))
        })
        .collect();
    let log_weights = Tensor::cat(parts.iter().map(|(weight, _)| weight.clone()).collect(), 1);
    let weights = burn::tensor::activation::softmax(log_weights, 1); // [batch, components, height, width]
    let terms = parts.into_iter().enumerate().map(|(i, (_, mean))| mean * weights.clone().narrow(1, i, 1));
    terms.reduce(|sum, term| sum + term).expect("at least one component")
}
