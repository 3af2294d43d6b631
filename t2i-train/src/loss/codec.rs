//! How far pictures are from what a codec made of them.

use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Tensor, assert_shape};
use t2i_vae::Posterior;

/// The smallest variance that [`spread`] tells from none.
const LEAST_VARIANCE: f64 = 1e-6;

/// The loss of a codec: the mean absolute error of the pixels, and of the edges.
///
/// An edge is the difference of a pixel and its neighbour, to the right and below. Pixels alone are content with a
/// blur: it is wrong by little everywhere. In the differences it is wrong by all of an edge's height. (Image gradient
/// difference loss, [Mathieu et al. 2015](https://arxiv.org/abs/1511.05440), equation 6, with absolute errors of the
/// signed differences, so that light to dark is not dark to light.) At each further scale the same is asked of the
/// pictures at half the size.
///
/// `loss = mean |d - p| + edges * sum over scales (mean |right(d) - right(p)| + mean |below(d) - below(p)|)`
///
/// The loss says nothing of the latents: [`spread`] and [`divergence`] do, and are added with a weight of the
/// trainer's choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodecLoss {
    /// How much the edges count beside the pixels.
    pub edges: f64,
    /// At how many scales edges are compared, each of half the size of the one before. 0 compares none.
    pub scales: usize,
}

impl Default for CodecLoss {
    /// Edges at two scales, which count as much as the pixels.
    fn default() -> Self {
        Self { edges: 1.0, scales: 2 }
    }
}

impl CodecLoss {
    /// The loss.
    ///
    /// # Shapes
    /// - decoded: what the codec made of the pictures, `[batch, channels, height, width]`
    /// - pixels: the pictures, as `decoded`
    /// - the loss: `[1]`
    ///
    /// # Panics
    /// If the shapes differ, or the pictures at the last scale have fewer than 2 pixels in a row or column.
    pub fn forward(&self, decoded: Tensor<4>, pixels: Tensor<4>) -> Tensor<1> {
        assert_eq!(decoded.dims(), pixels.dims(), "the decoded pictures have the shape of the pixels");
        // All terms are linear in the pictures before the absolute value: so one error serves them.
        let mut error = decoded - pixels;
        let mut loss = error.clone().abs().mean();
        for scale in 0..self.scales {
            if scale > 0 {
                error = avg_pool2d(error, AvgPoolOptions::new([2, 2]));
            }
            loss = loss + edge_error(error.clone()) * self.edges;
        }
        loss
    }
}

/// The mean absolute difference of neighbours, in rows and in columns. `[1]`
fn edge_error(error: Tensor<4>) -> Tensor<1> {
    let [_, _, height, width] = error.dims();
    assert!(height.min(width) >= 2, "edges need at least 2 x 2 pixels at each scale, not {width} x {height}");
    let right = error.clone().slice_dim(3, 1..width) - error.clone().slice_dim(3, 0..width - 1);
    let below = error.clone().slice_dim(2, 1..height) - error.slice_dim(2, 0..height - 1);
    right.abs().mean() + below.abs().mean()
}

/// How far latents are from zero mean and unit variance, which is what diffusion expects of them: for each channel of
/// the batch `(mean^2 + variance - 1 - ln variance) / 2`, the divergence of a normal distribution from the standard
/// one; the mean over the channels. 0 is best.
///
/// # Shapes
/// - latent: `[batch, channels, height, width]`
/// - the penalty: `[1]`
pub fn spread(latent: Tensor<4>) -> Tensor<1> {
    let [_, channels, _, _] = latent.dims();
    let values = latent.swap_dims(0, 1).reshape([channels as i64, -1]);
    // [channels, 1]
    let mean = values.clone().mean_dim(1);
    let variance = (values - mean.clone()).square().mean_dim(1);
    half_divergence(mean, variance.clone(), variance.clamp_min(LEAST_VARIANCE).log()).mean()
}

/// The divergence of a codec's posteriors from the standard normal distribution, the sum over a latent's values, the
/// mean over the batch: diffusers' `DiagonalGaussianDistribution.kl().mean()`.
/// [Kingma and Welling 2013](https://arxiv.org/abs/1312.6114), appendix B. `None` for a codec without chance.
///
/// # Shapes
/// - the divergence: `[1]`
pub fn divergence(posterior: &Posterior) -> Option<Tensor<1>> {
    let (mean, log_variance) = (posterior.mean(), posterior.log_variance()?);
    let [batch, _, _, _] = mean.dims();
    assert_shape!(log_variance, [batch, _, _, _]);
    Some(half_divergence(mean, log_variance.clone().exp(), log_variance).sum() / batch as f64)
}

/// `(mean^2 + variance - 1 - ln variance) / 2`
fn half_divergence<const D: usize>(mean: Tensor<D>, variance: Tensor<D>, log_variance: Tensor<D>) -> Tensor<D> {
    (mean.square() + variance - 1.0 - log_variance) * 0.5
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn picture(rows: [[f32; 4]; 4]) -> Tensor<4> {
        Tensor::<2>::from_data(rows, &Device::flex()).unsqueeze()
    }

    fn assert_close(found: Tensor<1>, expected: f32) {
        let found = found.into_scalar::<f32>();
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }

    const STEP: [[f32; 4]; 4] = [[0.0, 0.0, 1.0, 1.0]; 4];

    #[test]
    fn the_same_picture_has_no_loss() {
        assert_close(CodecLoss::default().forward(picture(STEP), picture(STEP)), 0.0);
    }

    /// Another brightness is an error of pixels only.
    #[test]
    fn brightness_has_no_edges() {
        assert_close(CodecLoss::default().forward(picture(STEP) + 0.25, picture(STEP)), 0.25);
    }

    /// A step of height 1 that is missing: half of the pixels are wrong by 1; of three differences in a row one is
    /// wrong by 1; at half the size the only one is.
    #[test]
    fn a_missing_edge_by_hand() {
        let loss = |edges, scales| CodecLoss { edges, scales }.forward(picture([[0.0; 4]; 4]), picture(STEP));
        assert_close(loss(1.0, 0), 0.5);
        assert_close(loss(1.0, 1), 0.5 + 1.0 / 3.0);
        assert_close(loss(3.0, 2), 0.5 + 3.0 * (1.0 / 3.0 + 1.0));
    }

    /// Columns are compared as rows are.
    #[test]
    fn a_turned_picture_has_the_same_loss() {
        let turned = || picture(STEP).swap_dims(2, 3);
        let loss = CodecLoss::default();
        let upright = loss.forward(picture([[0.0; 4]; 4]), picture(STEP)).into_scalar::<f32>();
        assert_close(loss.forward(turned() * 0.0, turned()), upright);
    }

    #[test]
    #[should_panic(expected = "at least 2 x 2 pixels")]
    fn too_many_scales_are_refused() {
        CodecLoss { edges: 1.0, scales: 3 }.forward(picture(STEP), picture(STEP));
    }

    #[test]
    fn nan_stays_nan() {
        let mut broken = STEP;
        broken[1][2] = f32::NAN;
        assert!(CodecLoss::default().forward(picture(broken), picture(STEP)).into_scalar::<f32>().is_nan());
    }

    /// Values +-1 are of zero mean and unit variance. Values 1 and 5 have mean 3 and variance 4.
    #[test]
    fn spread_by_hand() {
        let alternating = [[1.0, -1.0, 1.0, -1.0]; 4];
        assert_close(spread(picture(alternating)), 0.0);
        assert_close(spread(picture(alternating) * 2.0 + 3.0), (9.0 + 4.0 - 1.0 - 4f32.ln()) / 2.0);
        assert!(spread(picture([[2.0; 4]; 4])).into_scalar::<f32>().is_finite());
    }

    /// Every channel by itself: a latent of one large and one small channel is not of unit variance.
    #[test]
    fn channels_do_not_make_up_for_each_other() {
        let latent = Tensor::cat(vec![picture([[2.0, 2.0, 2.0, 2.0]; 4]), picture([[-2.0, -2.0, -2.0, -2.0]; 4])], 1);
        assert!(spread(latent).into_scalar::<f32>() > 2.0);
    }
}
