//! What several networks compute in the same way.

mod fused;

use std::ops::Range;

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, DType, Device, Int, Tensor, assert_shape};
use t2i_kernels::ops;
pub use t2i_kernels::ops::Sight;

/// The most scores that exist at one time, in elements: 64 MiB of f32.
///
/// The self-attention of Stable Diffusion at 1024 x 1024 has 16384 tokens; its scores would take 16 GiB if they
/// existed all together. A chunk of 64 MiB is large enough that every matrix product keeps a device busy, and
/// small beside the weights of any model of the family.
const SCORES: usize = 16 << 20;

/// Scaled dot-product attention, `softmax(q k^T / sqrt(dim)) v`.
///
/// [Vaswani et al. 2017](https://arxiv.org/abs/1706.03762), equation 1. The softmax of half-precision scores is
/// taken in f32. `query` and `key` may be f32 while `value` is half: so models that ask for `upcast_attention`
/// keep their products from overflowing. The result has the type of `value`.
///
/// # Shapes
/// - query: `[batch, heads, tokens, dim]`
/// - key: `[batch, heads, context, dim]`
/// - value: `[batch, heads, context, value_dim]`
/// - output: `[batch, heads, tokens, value_dim]`
///
/// # Panics
/// If the shapes do not agree.
pub fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let plain = |[query, key, value]: [Tensor<4>; 3]| chunked(query, key, value, |scores, _| scores);
    fused::attention([&query, &key, &value], plain).unwrap_or_else(|| plain([query, key, value]))
}

/// Attention of several heads, whose features lie side by side.
///
/// # Shapes
/// - query, output: `[batch, tokens, heads * dim]`
/// - key, value: `[batch, context, heads * dim]`
///
/// # Panics
/// If the shapes do not agree.
pub fn multi_head_attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    sight: Sight,
) -> Tensor<3> {
    if let Some(output) = ops::attention(&query, &key, &value, heads, sight) {
        return output;
    }
    let [batch, tokens, width] = query.dims();
    let [query, key, value] = [query, key, value].map(|x| {
        let [batch, tokens, width] = x.dims();
        x.reshape([batch, tokens, heads, width / heads]).swap_dims(1, 2)
        // [batch, heads, tokens, dim]
    });
    let output = match sight {
        Sight::All => attention(query, key, value),
        Sight::Past => causal_attention(query, key, value),
    };
    output.swap_dims(1, 2).reshape([batch, tokens, width])
}

/// [`attention`] in which every token sees itself and those before it.
///
/// # Shapes
/// - query, key: `[batch, heads, tokens, dim]`
/// - value: `[batch, heads, tokens, value_dim]`
/// - output: `[batch, heads, tokens, value_dim]`
///
/// # Panics
/// If the shapes do not agree.
pub fn causal_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let [_, _, tokens, _] = query.dims();
    assert_shape!(key, [_, _, tokens, _]);
    chunked(query, key, value, |scores, rows| {
        let later = later_tokens(rows, tokens, &scores.device());
        let shape = scores.dims();
        scores.mask_fill(later.expand(shape), f32::NEG_INFINITY)
    })
}

/// Attention, a chunk of queries at a time. `mask` gets the scores of a chunk and which queries they belong to.
fn chunked(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mask: impl Fn(Tensor<4>, Range<usize>) -> Tensor<4>,
) -> Tensor<4> {
    let [batch, heads, tokens, dim] = query.dims();
    let [_, _, context, _] = key.dims();
    assert_shape!(key, [batch, heads, _, dim]);
    assert_shape!(value, [batch, heads, context, _]);
    // Scaled before the product, not after it: a product of half-precision values overflows later so.
    let query = query * (dim as f64).powf(-0.5);
    let key = key.swap_dims(2, 3);
    let rows = (SCORES / (batch * heads * context).max(1)).max(1);
    let one = |from: usize| {
        let to = (from + rows).min(tokens);
        let scores = query.clone().slice_dim(2, from..to).matmul(key.clone());
        probabilities(mask(in_f32(scores), from..to), value.dtype()).matmul(value.clone())
    };
    if tokens <= rows {
        return one(0);
    }
    Tensor::cat((0..tokens).step_by(rows).map(one).collect(), 2)
}

fn probabilities(scores: Tensor<4>, dtype: DType) -> Tensor<4> {
    let probabilities = softmax(scores, 3);
    if probabilities.dtype() == dtype { probabilities } else { probabilities.cast(dtype) }
}

fn in_f32(scores: Tensor<4>) -> Tensor<4> {
    match scores.dtype() {
        DType::F16 | DType::BF16 => scores.cast(DType::F32),
        _ => scores,
    }
}

/// Which tokens come after each query. `[1, 1, rows, tokens]`
fn later_tokens(rows: Range<usize>, tokens: usize, device: &Device) -> Tensor<4, Bool> {
    let query = Tensor::<1, Int>::arange(rows.start as i64..rows.end as i64, device).unsqueeze_dim::<2>(1);
    let key = Tensor::<1, Int>::arange(0..tokens as i64, device).unsqueeze_dim::<2>(0);
    let shape = [rows.len(), tokens];
    query.expand(shape).lower(key.expand(shape)).unsqueeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    fn random(shape: [usize; 4]) -> Tensor<4> {
        // In [-1, 1], so that an absolute tolerance is one relative to the largest value.
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex())
    }

    /// All scores at once, in f64.
    fn textbook(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, causal: bool) -> Tensor<4> {
        let [query, key, value] = [query, key, value].map(|t| t.cast(DType::F64));
        let [_, _, tokens, dim] = query.dims();
        let mut scores = query.matmul(key.transpose()) / (dim as f64).sqrt();
        if causal {
            let shape = scores.dims();
            let later = Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, &Device::flex());
            scores = scores.mask_fill(later.unsqueeze::<4>().expand(shape), f64::NEG_INFINITY);
        }
        let exp = (scores.clone() - scores.max_dim(3)).exp();
        (exp.clone() / exp.sum_dim(3)).matmul(value)
    }

    fn assert_close(got: Tensor<4>, expected: Tensor<4>, tolerance: f32) {
        let got = got.cast(DType::F32);
        assert!(got.clone().is_finite().all().into_scalar::<bool>());
        got.into_data().assert_approx_eq::<f32>(&expected.cast(DType::F32).into_data(), Tolerance::absolute(tolerance));
    }

    #[test]
    fn one_chunk_is_the_textbook_formula() {
        let (q, k, v) = (random([2, 3, 5, 8]), random([2, 3, 7, 8]), random([2, 3, 7, 4]));
        assert_close(attention(q.clone(), k.clone(), v.clone()), textbook(q, k, v, false), 2e-6);
    }

    #[test]
    fn many_chunks_give_what_one_would() {
        // 2 * 8 * 2048 scores a query allow 512 queries a chunk; the last chunk is not full.
        let (q, k, v) = (random([2, 8, 1100, 8]), random([2, 8, 2048, 8]), random([2, 8, 2048, 8]));
        assert_close(attention(q.clone(), k.clone(), v.clone()), textbook(q, k, v, false), 2e-6);
    }

    #[test]
    fn causal_attention_sees_no_later_token() {
        let (q, k, v) = (random([2, 2, 9, 8]), random([2, 2, 9, 8]), random([2, 2, 9, 8]));
        assert_close(causal_attention(q.clone(), k.clone(), v.clone()), textbook(q, k, v, true), 2e-6);
    }

    #[test]
    fn causal_chunks_know_their_place() {
        let shape = [4, 8, 1100, 2];
        let (q, k, v) = (random(shape), random(shape), random(shape));
        assert_close(causal_attention(q.clone(), k.clone(), v.clone()), textbook(q, k, v, true), 2e-6);
    }

    #[test]
    fn scores_beyond_the_range_of_f16_stay_finite() {
        let big = |x: Tensor<4>| (x * 150.0).cast(DType::F16);
        let (q, k, v) = (big(random([1, 1, 4, 64])), big(random([1, 1, 4, 64])), big(random([1, 1, 4, 64])));
        let exact = textbook(q.clone(), k.clone(), v.clone(), false);
        let upcast = attention(q.cast(DType::F32), k.cast(DType::F32), v);
        assert_eq!(upcast.dtype(), DType::F16);
        assert_close(upcast, exact, 0.5);
    }
}
