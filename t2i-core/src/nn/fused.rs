//! Attention by a device's own kernel, where that is seen to be right and quick.
//!
//! GPUs have kernels that never write the scores down. Some are wrong, some do not run and do not say so, some are slower than what
//! they replace, and it depends on the driver and on the shape. So each shape is tried when it is first met, beside the composition.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, Distribution, Tensor};

/// The largest difference from the composition that f16 explains, as a part of the largest value.
const TOLERANCE: f32 = 1e-2;

/// The multiple of which tensor cores want a head's width to be.
const WIDTH: usize = 16;

/// Fewer queries are not worth the trial.
const QUERIES: usize = 256;

/// The shapes that were tried, and what came of it.
static VERDICTS: Mutex<Vec<(Problem, bool)>> = Mutex::new(Vec::new());

/// What a kernel's fitness depends on.
#[derive(Debug, Clone, PartialEq)]
struct Problem {
    device: Device,
    query: [usize; 4],
    key: [usize; 4],
}

/// Attention by the device's kernel, `softmax(q k^T / sqrt(dim)) v`; `None` where it is not to be had. `plain` is the composition.
///
/// Only of f16: kernels compute in that type whatever they are given.
///
/// # Shapes
/// - query, output: `[batch, heads, tokens, dim]`
/// - key, value: `[batch, heads, context, dim]`
pub(super) fn attention(
    [query, key, value]: [&Tensor<4>; 3],
    plain: impl Fn([Tensor<4>; 3]) -> Tensor<4>,
) -> Option<Tensor<4>> {
    let problem = Problem { device: query.device(), query: query.dims(), key: key.dims() };
    let is_known = [query, key, value].iter().all(|x| x.dtype() == DType::F16) && value.dims() == problem.key;
    let is_large = problem.query[2] >= QUERIES && !problem.device.is_autodiff();
    (is_known && is_large && verdict(problem, plain)).then(|| kernel([query, key, value].map(Clone::clone)))
}

/// Whether the kernel is right and no slower, tried once for each shape.
fn verdict(problem: Problem, plain: impl Fn([Tensor<4>; 3]) -> Tensor<4>) -> bool {
    let known =
        |verdicts: &[(Problem, bool)]| verdicts.iter().find(|(other, _)| *other == problem).map(|found| found.1);
    let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    known(&verdicts).unwrap_or_else(|| {
        let verdict = is_fit(&problem, plain).unwrap_or(false);
        verdicts.push((problem.clone(), verdict));
        verdict
    })
}

/// Runs both on random inputs; `None` if the device fails.
fn is_fit(problem: &Problem, plain: impl Fn([Tensor<4>; 3]) -> Tensor<4>) -> Option<bool> {
    let random = |shape| {
        Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), (&problem.device, DType::F32)).cast(DType::F16)
    };
    let inputs = [random(problem.query), random(problem.key), random(problem.key)];
    // Once to compile and to choose among variants.
    let (found, expected) = (kernel(inputs.clone()).cast(DType::F32), plain(inputs.clone()).cast(DType::F32));
    let largest = |x: Tensor<4>| x.abs().max().into_scalar::<f32>();
    let error = largest(found - expected.clone()) / largest(expected);
    let is_right = error <= TOLERANCE; // not where it is NaN
    Some(is_right && time(problem, || kernel(inputs.clone()))? <= time(problem, || plain(inputs.clone()))?)
}

fn time(problem: &Problem, run: impl Fn() -> Tensor<4>) -> Option<Duration> {
    problem.device.sync().ok()?;
    let started = Instant::now();
    // Kept until then: what nobody asks for might not be computed.
    let results = [(); 3].map(|()| run());
    problem.device.sync().ok()?;
    drop(results);
    Some(started.elapsed())
}

/// The device's kernel, given heads of a width that suits it.
fn kernel([query, key, value]: [Tensor<4>; 3]) -> Tensor<4> {
    let dim = query.dims()[3];
    let padded = dim.next_multiple_of(WIDTH);
    if padded == dim {
        return module::attention(query, key, value, None, None, AttentionModuleOptions::default());
    }
    // Zeros change no product; the kernel scales by the width that it sees.
    let query = query * (padded as f64 / dim as f64).sqrt();
    let [query, key, value] = [query, key, value].map(|x| x.pad((0, padded - dim, 0, 0), 0.0));
    module::attention(query, key, value, None, None, AttentionModuleOptions::default()).narrow(3, 0, dim)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    fn random(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex())
    }

    fn plain([query, key, value]: [Tensor<4>; 3]) -> Tensor<4> {
        let scale = (query.dims()[3] as f64).powf(-0.5);
        burn::tensor::activation::softmax(query.matmul(key.swap_dims(2, 3)) * scale, 3).matmul(value)
    }

    #[test]
    fn heads_of_any_width_are_scaled_by_their_own() {
        for width in [5, 16, 40] {
            let inputs = [random([1, 2, 7, width]), random([1, 2, 9, width]), random([1, 2, 9, width])];
            let (found, expected) = (kernel(inputs.clone()).into_data(), plain(inputs).into_data());
            found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(2e-6));
        }
    }

    #[test]
    fn a_kernel_that_gives_something_else_is_not_fit() {
        let problem = Problem { device: Device::flex(), query: [1, 2, 300, 8], key: [1, 2, 20, 8] };
        let other = |inputs: [Tensor<4>; 3]| plain(inputs) * 1.5;
        assert_eq!(is_fit(&problem, other), Some(false));
        let broken = |inputs: [Tensor<4>; 3]| plain(inputs) * f32::NAN;
        assert_eq!(is_fit(&problem, broken), Some(false));
    }

    #[test]
    fn few_queries_and_other_types_get_the_composition() {
        let of = |tokens, dtype: DType| random([1, 2, tokens, 8]).cast(dtype);
        for x in [of(QUERIES - 1, DType::F16), of(QUERIES, DType::BF16), of(QUERIES, DType::F32)] {
            assert!(attention([&x, &x, &x], |_| unreachable!("there is no trial")).is_none());
        }
    }
}
