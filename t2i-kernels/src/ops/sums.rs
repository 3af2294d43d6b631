//! How a device adds up the products of a convolution of halves.
//!
//! Some of the kernels that Burn chooses from keep the sum in a half: of the 11,520 products that make a value of Stable Diffusion the result
//! is then 3 % off. It depends on the device and on the shape, so each is tried when it is first met.

use std::sync::{Mutex, PoisonError};

use burn::nn::conv::Conv2d;
use burn::tensor::{DType, Device, Tensor};

/// A number whose square is a half too, but not the sums of many such squares: if each is rounded, the last is far off.
const FACTOR: f32 = 15.0 / 16.0;

/// The shapes that were tried, and what came of it.
static VERDICTS: Mutex<Vec<(Problem, bool)>> = Mutex::new(Vec::new());

/// What the choice of a kernel depends on.
#[derive(Debug, PartialEq)]
struct Problem {
    device: Device,
    dtype: DType,
    x: [usize; 4],
    weight: [usize; 4],
    stride: [usize; 2],
}

/// Whether the device computes that convolution with sums of 32 bits.
pub(super) fn are_wide(conv: &Conv2d, x: &Tensor<4>) -> bool {
    let weight = conv.weight.dims();
    let problem = Problem { device: x.device(), dtype: x.dtype(), x: x.dims(), weight, stride: conv.stride };
    let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, verdict)) = verdicts.iter().find(|(other, _)| *other == problem) {
        return *verdict;
    }
    let verdict = is_right(largest_sum(conv, x), weight[1..].iter().product(), problem.dtype);
    verdicts.push((problem, verdict));
    verdict
}

/// The largest of the sums if all numbers are [`FACTOR`].
fn largest_sum(conv: &Conv2d, x: &Tensor<4>) -> f32 {
    let mut even = Conv2d { bias: None, ..conv.clone() };
    even.weight = even.weight.map(|weight| weight.full_like(FACTOR));
    even.forward(x.full_like(FACTOR)).cast(DType::F32).max().into_scalar()
}

/// Whether it is rounded once, not at every term.
fn is_right(sum: f32, terms: usize, dtype: DType) -> bool {
    let epsilon = dtype.finfo().map_or(0.0, |info| info.epsilon as f32);
    (sum / (terms as f32 * FACTOR * FACTOR) - 1.0).abs() <= epsilon
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::nn::conv::Conv2dConfig;
    use half::f16;

    use super::*;

    #[test]
    fn sums_of_32_bits_are_right() {
        let conv = Conv2dConfig::new([320, 2], [3, 3]).init(&Device::flex());
        assert!(is_right(largest_sum(&conv, &Tensor::ones([1, 320, 5, 5], &Device::flex())), 9 * 320, DType::F32));
    }

    #[test]
    fn sums_of_halves_are_not() {
        let product = f16::from_f32(FACTOR * FACTOR);
        for terms in [9 * 32, 9 * 320, 9 * 2560] {
            for lanes in [1, 2, 4, 8] {
                let lane = (0..terms / lanes).fold(f16::ZERO, |sum, _| sum + product);
                let sum = f16::from_f32(lane.to_f32() * lanes as f32).to_f32();
                assert!(!is_right(sum, terms, DType::F16), "{terms}, {lanes} side by side");
            }
        }
    }
}
