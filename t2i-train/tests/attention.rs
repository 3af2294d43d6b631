//! Gradients flow through attention that takes its queries in chunks, as large pictures make it do.

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Distribution, Tensor};
use t2i_core::nn::{attention, causal_attention};

/// Of the largest gradient.
const TOLERANCE: f32 = 1e-4;

/// All scores at once.
fn textbook(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let dim = query.dims()[3] as f64;
    softmax(query.matmul(key.swap_dims(2, 3)) / dim.sqrt(), 3).matmul(value)
}

/// All scores at once, those of later tokens left out.
fn causal_textbook(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let [_, _, tokens, dim] = query.dims();
    let scores = query.matmul(key.swap_dims(2, 3)) / (dim as f64).sqrt();
    let later = Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, &scores.device());
    let shape = scores.dims();
    softmax(scores.mask_fill(later.unsqueeze::<4>().expand(shape), f32::NEG_INFINITY), 3).matmul(value)
}

type Attention = fn(Tensor<4>, Tensor<4>, Tensor<4>) -> Tensor<4>;

/// The gradients of query, key and value, where the loss is the sum of the output times `wanted`.
fn gradients(attention: Attention, inputs: &[Tensor<4>; 3], wanted: &Tensor<4>) -> [Tensor<4>; 3] {
    let inputs = inputs.clone().map(Tensor::require_grad);
    let [query, key, value] = inputs.clone();
    let gradients = (attention(query, key, value) * wanted.clone()).sum().backward();
    inputs.map(|input| input.grad(&gradients).expect("a gradient"))
}

fn check(chunked: Attention, textbook: Attention, [batch, heads, tokens, context]: [usize; 4]) {
    let device = Device::flex().autodiff();
    device.seed(0);
    let random = |length| Tensor::<4>::random([batch, heads, length, 4], Distribution::Normal(0.0, 1.0), &device);
    let inputs = [random(tokens), random(context), random(context)];
    let wanted = random(tokens);
    let found = gradients(chunked, &inputs, &wanted);
    for (found, expected) in found.into_iter().zip(gradients(textbook, &inputs, &wanted)) {
        assert!(found.clone().is_finite().all().into_scalar::<bool>());
        let largest = expected.clone().abs().max().into_scalar::<f32>();
        let error = (found - expected).abs().max().into_scalar::<f32>();
        assert!(error <= TOLERANCE * largest, "{error} of {largest}");
    }
}

/// 16384 scores a query allow 1024 queries a chunk: a full chunk and a rest.
#[test]
fn chunks_have_the_gradients_of_the_whole() {
    check(attention, textbook, [2, 8, 1060, 1024]);
}

/// 17600 scores a query allow 953 queries a chunk.
#[test]
fn causal_chunks_have_the_gradients_of_the_whole() {
    check(causal_attention, causal_textbook, [4, 4, 1100, 1100]);
}
