//! What the golden tests share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test uses its share")]

use std::collections::HashMap;

use burn::tensor::Tensor;
use safetensors::SafeTensors;
use serde_json::Value;
use t2i_sched::Level;

/// The f32 tensors of a safetensors file: shape and values by name.
pub fn load(path: &str) -> HashMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    file.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), values(view.data())))).collect()
}

pub fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// The values in f64, all of which are finite.
pub fn doubles(tensor: Tensor<4>) -> Vec<f64> {
    let values: Vec<f64> = tensor.into_data().convert::<f64>().try_into_vec().unwrap();
    assert!(values.iter().all(|v| v.is_finite()));
    values
}

/// The exact posterior mean for data of two equal Gaussians at -1 and 1 of deviation 0.3.
pub fn mixture(x: Tensor<4>, level: Level) -> Tensor<4> {
    let Level { alpha, sigma } = level;
    let variance = alpha.powi(2) * 0.09 + sigma.powi(2);
    let mean = x.clone().mul_scalar(alpha / variance).tanh();
    mean.clone() + (x - mean.mul_scalar(alpha)).mul_scalar(alpha * 0.09 / variance)
}

pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Prints a line for `tests/golden/parity.py`.
#[allow(clippy::print_stdout, reason = "docs/parity.md is made of it")]
pub fn parity(part: &str, case: &str, tolerance: f64, error: f64) {
    let case = case.replace('|', " "); // which would end the table's cell
    println!("parity | {part} | {case} | {tolerance:.1e} | {error:.1e}");
}

/// The largest difference as a share of the largest expected value; infinite if anything is not finite.
pub fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    if found.iter().any(|v| !v.is_finite()) {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
    let difference = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).abs();
    found.iter().zip(expected).map(difference).fold(0.0, f64::max) / largest
}
