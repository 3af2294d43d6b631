//! The squared error of what a network predicts for noisy latents.

use burn::tensor::{DType, Device, Tensor, assert_shape};
use t2i_sched::{Level, Prediction};

use super::Weighting;

/// The loss of a diffusion or flow network: the squared error of its prediction, weighted by the noise level.
/// [Ho et al. 2020](https://arxiv.org/abs/2006.11239), equation 14, for every [`Prediction`].
///
/// Each sample of a batch has a noise level of its own. A training step is
///
/// ```
/// # use burn::tensor::{Device, Distribution, Tensor};
/// # use t2i_sched::{Level, Prediction};
/// # use t2i_train::{DiffusionLoss, Weighting};
/// # let device = Device::flex();
/// # let random = || Tensor::<4>::random([2, 4, 8, 8], Distribution::Normal(0.0, 1.0), &device);
/// # let (x0, eps, levels) = (random(), random(), [Level::vp(0.9), Level::vp(0.1)]);
/// # let network = |x: Tensor<4>| x;
/// let loss = DiffusionLoss { prediction: Prediction::Epsilon, weighting: Weighting::Uniform };
/// let output = network(loss.noisy(x0.clone(), eps.clone(), &levels));
/// let loss = loss.forward(output, x0, eps, &levels);
/// # assert!(loss.into_scalar::<f32>().is_finite());
/// ```
///
/// All tensors of a call are on one device, which for training is an autodiff device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiffusionLoss {
    /// What the network predicts.
    pub prediction: Prediction,
    /// How much each noise level counts.
    pub weighting: Weighting,
}

impl DiffusionLoss {
    /// What the network is fed: `alpha * x0 + sigma * eps`, scaled as [`Prediction::input`] scales it, which changes
    /// nothing at the levels of Stable Diffusion's schedules.
    ///
    /// # Shapes
    /// - x0: clean latents, `[batch, channels, height, width]`
    /// - eps: noise of unit variance, and the output: as `x0`
    /// - levels: one a sample
    ///
    /// # Panics
    /// If the shapes do not agree.
    pub fn noisy(&self, x0: Tensor<4>, eps: Tensor<4>, levels: &[Level]) -> Tensor<4> {
        let scaled = |level: &Level, factor: f64| self.prediction.input_scale(*level) * factor;
        mix(x0, eps, levels, |level| (scaled(level, level.alpha), scaled(level, level.sigma)))
    }

    /// What the network shall answer to [`noisy`](Self::noisy) latents.
    ///
    /// # Shapes
    /// As [`noisy`](Self::noisy).
    ///
    /// # Panics
    /// If the shapes do not agree.
    pub fn target(&self, x0: Tensor<4>, eps: Tensor<4>, levels: &[Level]) -> Tensor<4> {
        mix(x0, eps, levels, |level| self.prediction.target(*level))
    }

    /// The mean over the batch of [`each`](Self::each).
    ///
    /// # Shapes
    /// - output: the network's, `[batch, channels, height, width]`
    /// - x0, eps, levels: as for [`noisy`](Self::noisy)
    /// - the loss: `[1]`
    ///
    /// # Panics
    /// If the shapes do not agree.
    pub fn forward(&self, output: Tensor<4>, x0: Tensor<4>, eps: Tensor<4>, levels: &[Level]) -> Tensor<1> {
        self.each(output, x0, eps, levels).mean()
    }

    /// The loss of each sample: the mean of its squared errors, times the weight of its level.
    ///
    /// # Shapes
    /// - output: the network's, `[batch, channels, height, width]`
    /// - x0, eps, levels: as for [`noisy`](Self::noisy)
    /// - the losses: `[batch]`
    ///
    /// # Panics
    /// If the shapes do not agree.
    pub fn each(&self, output: Tensor<4>, x0: Tensor<4>, eps: Tensor<4>, levels: &[Level]) -> Tensor<1> {
        assert_eq!(output.dims(), x0.dims(), "the output has the shape of the latents");
        let device = output.device();
        let error = output - self.target(x0, eps, levels);
        // [batch, values]
        let error = error.flatten::<2>(1, 3);
        let losses = error.square().mean_dim(1).squeeze_dim::<1>(1);
        losses * per_sample(levels, |level| self.weighting.weight(self.prediction, *level), &device)
    }
}

/// A sum of `x0` and `eps` whose factors each sample's level gives.
fn mix(x0: Tensor<4>, eps: Tensor<4>, levels: &[Level], factors: impl Fn(&Level) -> (f64, f64)) -> Tensor<4> {
    let shape = x0.dims();
    assert_shape!(x0, [levels.len(), _, _, _]);
    assert_eq!(eps.dims(), shape, "the noise has the shape of the latents");
    let device = x0.device();
    let of_x0 = per_sample(levels, |level| factors(level).0, &device).reshape([-1, 1, 1, 1]);
    let of_eps = per_sample(levels, |level| factors(level).1, &device).reshape([-1, 1, 1, 1]);
    x0 * of_x0 + eps * of_eps
}

/// A number for each sample, made on the host in f64 and rounded once. `[batch]`
fn per_sample(levels: &[Level], number: impl Fn(&Level) -> f64, device: &Device) -> Tensor<1> {
    let numbers: Vec<f32> = levels.iter().map(|level| number(level) as f32).collect();
    Tensor::from_data(numbers.as_slice(), (device, DType::F32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    /// Two samples of two values.
    fn tensor(values: [[f32; 2]; 2]) -> Tensor<4> {
        Tensor::<2>::from_data(values, &Device::flex()).reshape([2, 1, 1, 2])
    }

    fn assert_close<const D: usize>(found: Tensor<D>, expected: &[f32]) {
        let found = found.flatten::<1>(0, D - 1).into_data();
        found.assert_approx_eq::<f32>(&expected.into(), Tolerance::absolute(1e-6));
        assert!(found.iter::<f32>().all(f32::is_finite));
    }

    fn loss(prediction: Prediction) -> DiffusionLoss {
        DiffusionLoss { prediction, weighting: Weighting::Uniform }
    }

    const LEVELS: [Level; 2] = [Level { alpha: 0.8, sigma: 0.6 }, Level { alpha: 0.6, sigma: 0.8 }];

    #[test]
    fn each_sample_has_its_own_level() {
        let (x0, eps) = (tensor([[1.0, 2.0], [3.0, -1.0]]), tensor([[-1.0, 0.5], [2.0, 1.0]]));
        let noisy = loss(Prediction::Epsilon).noisy(x0.clone(), eps.clone(), &LEVELS);
        assert_close(noisy, &[0.2, 1.9, 3.4, 0.2]);
        let target = |prediction| loss(prediction).target(x0.clone(), eps.clone(), &LEVELS);
        assert_close(target(Prediction::Epsilon), &[-1.0, 0.5, 2.0, 1.0]);
        assert_close(target(Prediction::V), &[-1.4, -0.8, -1.2, 1.4]);
        assert_close(target(Prediction::Sample), &[1.0, 2.0, 3.0, -1.0]);
        assert_close(target(Prediction::Velocity), &[-2.0, -1.5, -1.0, 2.0]);
    }

    #[test]
    fn networks_of_other_coordinates_are_fed_what_sampling_feeds_them() {
        let (x0, eps) = (tensor([[1.0, 2.0], [3.0, -1.0]]), tensor([[-1.0, 0.5], [2.0, 1.0]]));
        let levels = LEVELS.map(Level::to_ve);
        let exploding = loss(Prediction::V).noisy(x0.clone(), eps.clone(), &levels);
        assert_close(exploding, &[0.2, 1.9, 3.4, 0.2]);
        let flow = [Level::flow(0.25), Level::flow(0.5)];
        assert_close(loss(Prediction::Velocity).noisy(x0, eps, &flow), &[0.5, 1.625, 2.5, 0.0]);
    }

    /// Errors 1 and 2 in one sample, 0 and 4 in the other: means 2.5 and 8. At `gamma = 1` the noise's weights are
    /// `36 / 64` and 1.
    #[test]
    fn losses_by_hand() {
        let (x0, eps) = (tensor([[1.0, 2.0], [3.0, -1.0]]), tensor([[-1.0, 0.5], [2.0, 1.0]]));
        let output = tensor([[0.0, -1.5], [2.0, 5.0]]);
        let uniform = loss(Prediction::Epsilon);
        assert_close(uniform.each(output.clone(), x0.clone(), eps.clone(), &LEVELS), &[2.5, 8.0]);
        assert_close(uniform.forward(output.clone(), x0.clone(), eps.clone(), &LEVELS), &[5.25]);
        let weighted = DiffusionLoss { weighting: Weighting::MinSnr { gamma: 1.0 }, ..uniform };
        assert_close(weighted.each(output, x0, eps, &LEVELS), &[2.5 * 36.0 / 64.0, 8.0]);
    }

    #[test]
    fn noise_alone_has_a_finite_loss() {
        let (x0, eps) = (tensor([[1.0, 2.0], [3.0, -1.0]]), tensor([[-1.0, 0.5], [2.0, 1.0]]));
        let levels = [Level::vp(0.0), Level::CLEAN];
        for prediction in [Prediction::Epsilon, Prediction::V, Prediction::Sample, Prediction::Velocity] {
            let loss = DiffusionLoss { prediction, weighting: Weighting::MinSnr { gamma: 5.0 } };
            let output = tensor([[0.3, 0.1], [0.2, 0.7]]);
            assert!(loss.forward(output, x0.clone(), eps.clone(), &levels).into_scalar::<f32>().is_finite());
        }
    }

    /// A step that went wrong must show.
    #[test]
    fn nan_stays_nan() {
        let (x0, eps) = (tensor([[1.0, 2.0], [3.0, -1.0]]), tensor([[-1.0, 0.5], [2.0, 1.0]]));
        let output = tensor([[f32::NAN, 0.0], [0.0, 0.0]]);
        let losses = loss(Prediction::V).each(output, x0, eps, &LEVELS).into_data();
        let losses: Vec<f32> = losses.try_to_vec().expect("f32");
        assert!(losses[0].is_nan() && losses[1].is_finite());
    }

    #[test]
    #[should_panic(expected = "the noise has the shape")]
    fn other_shapes_are_refused() {
        let eps = tensor([[1.0, 2.0], [3.0, -1.0]]).reshape([2, 1, 2, 1]);
        loss(Prediction::V).noisy(tensor([[1.0, 2.0], [3.0, -1.0]]), eps, &LEVELS);
    }
}
