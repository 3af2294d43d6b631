//! How far two sets of pictures are apart, in the latent space of a codec.

use burn::tensor::Tensor;
use burn::tensor::module::adaptive_avg_pool2d;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use t2i::vae::Codec;

/// Latents are averaged to a grid of this many cells a side.
const GRID: usize = 4;

/// The features of pictures: the latent's channels, averaged over a grid of 4 x 4.
///
/// # Shapes
/// - pixels: `[batch, 3, height, width]`
/// - output: `[batch][channels * 16]`
pub(crate) fn features(codec: &Codec, pixels: Tensor<4>) -> Vec<Vec<f64>> {
    let [batch, _, _, _] = pixels.dims();
    let pooled = adaptive_avg_pool2d(codec.encode(pixels).mode(), [GRID, GRID]);
    let values: Vec<f64> = pooled.into_data().iter().collect();
    values.chunks(values.len() / batch).map(<[f64]>::to_vec).collect()
}

/// The Fréchet distance of the normal distributions of two sets of features,
/// `|m1 - m2|^2 + tr(c1 + c2 - 2 sqrt(c1 c2))`: what FID is in the features of a classifier.
/// [Heusel et al. 2017](https://arxiv.org/abs/1706.08500), equation 6
pub(crate) fn distance(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let ((mean_a, cov_a), (mean_b, cov_b)) = (moments(a), moments(b));
    let root = root(&cov_a);
    // `sqrt(c1 c2)` has the trace of `sqrt(sqrt(c1) c2 sqrt(c1))`, which is symmetric.
    let product = &root * &cov_b * &root;
    let trace: f64 = SymmetricEigen::new(product).eigenvalues.iter().map(|value| value.max(0.0).sqrt()).sum();
    (mean_a - mean_b).norm_squared() + cov_a.trace() + cov_b.trace() - 2.0 * trace
}

fn moments(rows: &[Vec<f64>]) -> (DVector<f64>, DMatrix<f64>) {
    let data = DMatrix::from_fn(rows.len(), rows[0].len(), |row, column| rows[row][column]);
    let mean = data.row_mean();
    let centred = DMatrix::from_fn(data.nrows(), data.ncols(), |row, column| data[(row, column)] - mean[column]);
    (mean.transpose(), centred.transpose() * &centred / (rows.len() as f64 - 1.0).max(1.0))
}

fn root(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    let eigen = SymmetricEigen::new(matrix.clone());
    let roots = eigen.eigenvalues.map(|value| value.max(0.0).sqrt());
    &eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_distances() {
        let square = vec![vec![0.0, 0.0], vec![0.0, 2.0], vec![2.0, 0.0], vec![2.0, 2.0]];
        assert!(distance(&square, &square).abs() < 1e-9);
        let moved: Vec<_> = square.iter().map(|p| vec![p[0] + 3.0, p[1] - 4.0]).collect();
        assert!((distance(&square, &moved) - 25.0).abs() < 1e-9);
        // Deviations of sqrt(4/3) and twice that, in two directions: 2 * 4/3.
        let larger: Vec<_> = square.iter().map(|p| vec![2.0 * p[0] - 1.0, 2.0 * p[1] - 1.0]).collect();
        assert!((distance(&square, &larger) - 8.0 / 3.0).abs() < 1e-9);
    }
}
