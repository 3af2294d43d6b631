//! What the tests of products and convolutions share.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Numbers of about the size of a normal distribution's.
pub(crate) fn numbers(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| (0..4).map(|_| rng.random_range(-0.87f32..0.87)).sum()).collect()
}

/// The largest difference, as a part of the largest expected value.
///
/// # Panics
/// If a number is not finite: what was not written is NaN, and the largest of NaN and 0 is 0.
pub(crate) fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|x| x.is_finite()), "NaN or infinity");
    let largest = expected.iter().fold(1e-300, |max, x| f64::max(max, x.abs()));
    found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / largest
}
