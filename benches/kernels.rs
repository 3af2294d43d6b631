//! Each kernel of `t2i-kernels` beside the composition of Burn's operations that other backends get, on every shape that
//! Stable Diffusion 1.5 has at 512 pixels, 2.1 at 768 and XL at 1024: `cargo bench --bench kernels`, and a part of them
//! by name, as `cargo bench --bench kernels -- conv3x3` or `-- 'attention.*sd15'`.
//!
//! `common` says how to choose device and type. Where there are no kernels, both columns are the composition.
#![allow(missing_docs, reason = "a program")]

mod common;
#[path = "kernels/shapes.rs"]
mod shapes;

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation;
use burn::tensor::{Distribution, Tensor};
use t2i_core::nn::{attention as attend, causal_attention, multi_head_attention};
use t2i_kernels::ops::{self, Sight};

use shapes::{Attention, Pictures, Tokens};

fn main() -> std::process::ExitCode {
    common::main()
}

/// The kernel, or the composition that it stands for.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Kernel,
    Plain,
}

/// An operation whose tensors are ready.
type Operation = Box<dyn Fn()>;

/// Two benches of the function of that name, which makes the operation for a shape.
macro_rules! beside_plain {
    ($name:ident, $shapes:expr, $sizes:ty) => {
        mod $name {
            use super::*;
            type Shape = shapes::Named<$sizes>;

            #[divan::bench(args = $shapes, sample_count = 25, sample_size = 1, max_time = 1)]
            fn kernel(bencher: divan::Bencher<'_, '_>, shape: &Shape) {
                common::time(bencher, super::$name(shape.sizes, Form::Kernel));
            }

            #[divan::bench(args = $shapes, sample_count = 25, sample_size = 1, max_time = 1)]
            fn plain(bencher: divan::Bencher<'_, '_>, shape: &Shape) {
                common::time(bencher, super::$name(shape.sizes, Form::Plain));
            }
        }
    };
}

beside_plain!(attention, shapes::attentions(), Attention);
beside_plain!(conv3x3, shapes::convolutions(), Pictures);
beside_plain!(geglu, shapes::tokens(), Tokens);
beside_plain!(gelu, shapes::tokens(), Tokens);
beside_plain!(group_norm, shapes::feature_maps(), Pictures);
beside_plain!(group_norm_silu, shapes::feature_maps(), Pictures);
beside_plain!(layer_norm, shapes::tokens(), Tokens);
beside_plain!(linear, shapes::projections(), Tokens);
beside_plain!(perceptron, shapes::perceptrons(), Tokens);
beside_plain!(silu, shapes::feature_maps(), Pictures);

fn attention(sizes: Attention, form: Form) -> Operation {
    let Attention { batch, tokens, context, heads, width, causal } = sizes;
    let [q, k, v] = [tokens, context, context].map(|tokens| values([batch, tokens, width]));
    let sight = if causal { Sight::Past } else { Sight::All };
    if form == Form::Kernel {
        return operation(move || multi_head_attention(q.clone(), k.clone(), v.clone(), heads, sight));
    }
    operation(move || {
        let [q, k, v] = [&q, &k, &v].map(|x| by_heads(x.clone(), heads));
        let output = if causal { causal_attention(q, k, v) } else { attend(q, k, v) };
        output.swap_dims(1, 2).reshape([batch, tokens, width])
    })
}

/// `[batch, tokens, heads * dim] -> [batch, heads, tokens, dim]`
fn by_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, tokens, width] = x.dims();
    x.reshape([batch, tokens, heads, width / heads]).swap_dims(1, 2)
}

fn conv3x3(sizes: Pictures, form: Form) -> Operation {
    let x = pictures(sizes);
    let conv = Conv2dConfig::new([sizes.channels, sizes.outputs], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(&common::device());
    let conv: Conv2d = common::random_weights(conv);
    match form {
        Form::Kernel => operation(move || ops::conv2d(&conv, x.clone())),
        Form::Plain => operation(move || conv.forward(x.clone())),
    }
}

fn geglu(sizes: Tokens, form: Form) -> Operation {
    let half = sizes.outputs;
    let x = values([sizes.batch, sizes.tokens, 2 * half]);
    match form {
        Form::Kernel => operation(move || ops::geglu(x.clone())),
        Form::Plain => {
            operation(move || x.clone().narrow(2, 0, half) * activation::gelu(x.clone().narrow(2, half, half)))
        }
    }
}

fn gelu(sizes: Tokens, form: Form) -> Operation {
    let x = values([sizes.batch, sizes.tokens, sizes.outputs]);
    match form {
        Form::Kernel => operation(move || ops::gelu(x.clone())),
        Form::Plain => operation(move || activation::gelu(x.clone())),
    }
}

fn group_norm(sizes: Pictures, form: Form) -> Operation {
    let (x, norm) = (pictures(sizes), norm_of(sizes));
    match form {
        Form::Kernel => operation(move || ops::group_norm(&norm, x.clone())),
        Form::Plain => operation(move || norm.forward(x.clone())),
    }
}

fn group_norm_silu(sizes: Pictures, form: Form) -> Operation {
    let (x, norm) = (pictures(sizes), norm_of(sizes));
    match form {
        Form::Kernel => operation(move || ops::group_norm_silu(&norm, x.clone())),
        Form::Plain => operation(move || activation::silu(norm.forward(x.clone()))),
    }
}

fn norm_of(sizes: Pictures) -> GroupNorm {
    common::random_weights(GroupNormConfig::new(32, sizes.channels).init(&common::device()))
}

fn layer_norm(sizes: Tokens, form: Form) -> Operation {
    let x = tokens(sizes);
    let norm = LayerNormConfig::new(sizes.width).with_epsilon(1e-5).init(&common::device());
    let norm = common::random_weights(norm);
    match form {
        Form::Kernel => operation(move || ops::layer_norm(&norm, 1e-5, x.clone())),
        Form::Plain => operation(move || norm.forward(x.clone())),
    }
}

fn linear(sizes: Tokens, form: Form) -> Operation {
    let x = tokens(sizes);
    let linear = common::random_weights(LinearConfig::new(sizes.width, sizes.outputs).init(&common::device()));
    match form {
        Form::Kernel => operation(move || ops::linear(&linear, x.clone())),
        Form::Plain => operation(move || linear.forward(x.clone())),
    }
}

fn perceptron(sizes: Tokens, form: Form) -> Operation {
    let Tokens { width, outputs: between, .. } = sizes;
    let x = tokens(sizes);
    let layer = |from, to| common::random_weights(LinearConfig::new(from, to).init(&common::device()));
    let [first, second]: [Linear; 2] = [layer(width, between), layer(between, width)];
    match form {
        Form::Kernel => operation(move || ops::perceptron(&first, ops::Activation::Gelu, &second, x.clone())),
        Form::Plain => operation(move || second.forward(activation::gelu(first.forward(x.clone())))),
    }
}

fn silu(sizes: Pictures, form: Form) -> Operation {
    let x = pictures(sizes);
    match form {
        Form::Kernel => operation(move || ops::silu(x.clone())),
        Form::Plain => operation(move || activation::silu(x.clone())),
    }
}

/// `[batch, channels, side, side]`
fn pictures(sizes: Pictures) -> Tensor<4> {
    values([sizes.batch, sizes.channels, sizes.side, sizes.side])
}

/// `[batch, tokens, width]`
fn tokens(sizes: Tokens) -> Tensor<3> {
    values([sizes.batch, sizes.tokens, sizes.width])
}

fn values<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::<D>::random(shape, Distribution::Normal(0.0, 1.0), &common::device()).cast(common::dtype())
}

/// Within the pool of threads, as in a network.
fn operation<const D: usize>(run: impl Fn() -> Tensor<D> + Sync + 'static) -> Operation {
    let device = common::device();
    Box::new(move || drop(ops::in_pool(&device, &run)))
}
