//! Single operations, of shapes that `kernels.py` names.

use std::time::Instant;

use burn::nn::conv::Conv2dConfig;
use burn::nn::{GroupNormConfig, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor};
use serde_json::{Value, json};
use t2i_core::nn::{Sight, multi_head_attention};
use t2i_kernels::ops;

use crate::common;

/// Milliseconds of each shape's operation, `runs` times, as JSON lists on stdout.
pub(crate) fn time_all(shapes: &str, runs: usize) -> Result<(), String> {
    let shapes: Vec<(String, Vec<usize>)> = serde_json::from_str(shapes).map_err(|error| error.to_string())?;
    let times: Result<Vec<Value>, String> = shapes.iter().map(|(name, sizes)| times(name, sizes, runs)).collect();
    println!("{}", json!(times?));
    Ok(())
}

fn times(name: &str, sizes: &[usize], runs: usize) -> Result<Value, String> {
    let device = common::device();
    let run = operation(name, sizes, &device)?;
    run();
    device.sync().map_err(|error| error.to_string())?;
    let once = || {
        let started = Instant::now();
        run();
        device.sync().expect("the device still answers");
        started.elapsed().as_secs_f64() * 1e3
    };
    // Where a network calls it, too.
    let times = ops::in_pool(&device, || (0..runs).map(|_| once()).collect::<Vec<_>>());
    Ok(json!(times))
}

fn operation(name: &str, sizes: &[usize], device: &Device) -> Result<Box<dyn Fn() + Sync>, String> {
    Ok(match (name, sizes) {
        ("linear", &[batch, tokens, inputs, outputs]) => {
            let linear = common::random_weights(LinearConfig::new(inputs, outputs).init(device));
            let x = random([batch, tokens, inputs]);
            Box::new(move || drop(ops::linear(&linear, x.clone())))
        }
        ("conv3x3", &[batch, inputs, outputs, side]) => {
            let config = Conv2dConfig::new([inputs, outputs], [3, 3]);
            let conv = config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device);
            let conv = common::random_weights(conv);
            let x = random([batch, inputs, side, side]);
            Box::new(move || drop(ops::conv2d(&conv, x.clone())))
        }
        ("attention", &[batch, heads, tokens, dim]) => {
            let [q, k, v] = [(); 3].map(|()| random::<3>([batch, tokens, heads * dim]));
            Box::new(move || drop(multi_head_attention(q.clone(), k.clone(), v.clone(), heads, Sight::All)))
        }
        ("group_norm", &[batch, channels, side]) => {
            let norm = common::random_weights(GroupNormConfig::new(32, channels).init(device));
            let x = random([batch, channels, side, side]);
            Box::new(move || drop(ops::group_norm(&norm, x.clone())))
        }
        ("silu", &[batch, channels, side]) => {
            let x = random([batch, channels, side, side]);
            Box::new(move || drop(ops::silu(x.clone())))
        }
        ("gelu", &[batch, tokens, width]) => {
            let x = random([batch, tokens, width]);
            Box::new(move || drop(ops::gelu(x.clone())))
        }
        ("geglu", &[batch, tokens, width]) => {
            let x = random([batch, tokens, 2 * width]);
            Box::new(move || drop(ops::geglu(x.clone())))
        }
        _ => return Err(format!("no operation {name} of {sizes:?}")),
    })
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::<D>::random(shape, Distribution::Normal(0.0, 1.0), &common::device()).cast(common::dtype())
}
