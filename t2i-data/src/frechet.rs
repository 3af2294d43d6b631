//! The Fréchet distance between two sets of features.

use t2i_core::{Error, Result};

/// Rounds of Jacobi's method. It converges quadratically, and a dozen are enough for hundreds of features.
const ROUNDS: usize = 60;

/// A square matrix, row by row.
type Matrix = Vec<Vec<f64>>;

/// The Fréchet distance between normal distributions with the means and covariances of two sets of features:
/// `|m - n|^2 + trace(A + B - 2 (A B)^(1/2))` (<https://arxiv.org/abs/1706.08500>, equation 6).
///
/// # Errors
/// If a set has fewer than two members, members differ in length, or a feature is NaN or infinite.
pub fn frechet_distance(first: &[Vec<f32>], second: &[Vec<f32>]) -> Result<f64> {
    let length = first.first().map_or(0, Vec::len);
    for set in [first, second] {
        check(set, length)?;
    }
    let ((m, a), (n, b)) = (moments(first), moments(second));
    let means: f64 = m.iter().zip(&n).map(|(m, n)| (m - n).powi(2)).sum();
    // (A B)^(1/2) has the trace of (A^(1/2) B A^(1/2))^(1/2), which is symmetric.
    let root = square_root(&a);
    let (values, _) = eigen(&product(&product(&root, &b), &root));
    let mixed: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
    Ok((means + trace(&a) + trace(&b) - 2.0 * mixed).max(0.0))
}

fn check(set: &[Vec<f32>], length: usize) -> Result<()> {
    let invalid = |value: String, expected: &str| {
        Err(Error::InvalidValue { field: "features", value, expected: expected.to_owned() })
    };
    if set.len() < 2 {
        return invalid(format!("{} of them", set.len()), "at least two of each set");
    }
    if let Some(other) = set.iter().find(|features| features.len() != length) {
        return invalid(format!("{} values long", other.len()), &format!("{length} values long, as the first"));
    }
    match set.iter().flatten().find(|value| !value.is_finite()) {
        Some(value) => invalid(value.to_string(), "finite"),
        None => Ok(()),
    }
}

/// Mean and unbiased covariance.
fn moments(set: &[Vec<f32>]) -> (Vec<f64>, Matrix) {
    let count = set.len() as f64;
    let columns = 0..set[0].len();
    let mean: Vec<_> = columns.clone().map(|i| set.iter().map(|x| f64::from(x[i])).sum::<f64>() / count).collect();
    let covariance = |i: usize, j: usize| {
        let products = set.iter().map(|x| (f64::from(x[i]) - mean[i]) * (f64::from(x[j]) - mean[j]));
        products.sum::<f64>() / (count - 1.0)
    };
    let matrix = columns.clone().map(|i| columns.clone().map(|j| covariance(i, j)).collect()).collect();
    (mean, matrix)
}

/// The symmetric root of a symmetric matrix without negative eigenvalues, but for rounding.
fn square_root(matrix: &Matrix) -> Matrix {
    let (values, vectors) = eigen(matrix);
    let entry =
        |i: usize, j: usize| (0..values.len()).map(|k| values[k].max(0.0).sqrt() * vectors[i][k] * vectors[j][k]).sum();
    (0..values.len()).map(|i| (0..values.len()).map(|j| entry(i, j)).collect()).collect()
}

/// Eigenvalues of a symmetric matrix, and the eigenvectors as columns, by Jacobi's method:
/// Golub and Van Loan, Matrix Computations, section 8.5.
fn eigen(matrix: &Matrix) -> (Vec<f64>, Matrix) {
    let size = matrix.len();
    let (mut a, mut vectors) = (matrix.clone(), identity(size));
    let whole = a.iter().flatten().map(|value| value * value).sum::<f64>();
    for _ in 0..ROUNDS {
        let outside = (0..size).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j].powi(2)).sum::<f64>();
        if outside <= 1e-30 * whole {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    ((0..size).map(|i| a[i][i]).collect(), vectors)
}

/// Turns the plane of `p` and `q` so that `a[p][q]` vanishes.
fn rotate(a: &mut Matrix, vectors: &mut Matrix, p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let tau = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let tangent = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    for row in a.iter_mut().chain(vectors) {
        (row[p], row[q]) = (cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]);
    }
    let [row_p, row_q] = [p, q].map(|row| std::mem::take(&mut a[row]));
    let turned = row_p.iter().zip(&row_q).map(|(x, y)| (cosine * x - sine * y, sine * x + cosine * y));
    (a[p], a[q]) = turned.unzip();
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let entry = |row: &Vec<f64>, j: usize| row.iter().zip(b).map(|(value, row)| value * row[j]).sum();
    a.iter().map(|row| (0..b.len()).map(|j| entry(row, j)).collect()).collect()
}

fn identity(size: usize) -> Matrix {
    (0..size).map(|i| (0..size).map(|j| f64::from(u8::from(i == j))).collect()).collect()
}

fn trace(matrix: &Matrix) -> f64 {
    matrix.iter().enumerate().map(|(i, row)| row[i]).sum()
}
