//! timings
#![allow(clippy::print_stdout, clippy::unwrap_used)]
use std::time::Instant;
use t2i_kernels::{activation::*, norm::*, softmax::*};
fn median(what: &str, mut f: impl FnMut()) {
    for _ in 0..5 {
        f();
    }
    let mut t: Vec<f64> = (0..61)
        .map(|_| {
            let s = Instant::now();
            f();
            s.elapsed().as_secs_f64()
        })
        .collect();
    t.sort_by(f64::total_cmp);
    println!("{what}: min {:.3} median {:.3} ms", t[0] * 1e3, t[30] * 1e3);
}
fn main() {
    let n = 320 * 4096;
    let mut s = 1u32;
    let x: Vec<f32> = (0..n)
        .map(|_| {
            s = s.wrapping_mul(1664525).wrapping_add(1013904223);
            (s >> 8) as f32 / (1 << 22) as f32 - 2.
        })
        .collect();
    let mut y = vec![0.0; n];
    let (g, b) = (vec![1.1; 320], vec![0.1; 320]);
    median("silu", || silu(&x, &mut y));
    median("silu inplace", || silu_inplace(&mut y));
    median("gelu", || gelu(&x, &mut y));
    median("gelu tanh", || gelu_tanh(&x, &mut y));
    median("gelu quick", || gelu_quick(&x, &mut y));
    median("geglu 1024 x 640", || geglu(&x, 640, &mut y[..n / 2]));
    median("softmax 1024 x 1280", || softmax(&x, 1280, &mut y));
    median("layer norm 4096 x 320", || layer_norm(&x, &g, &b, 1e-5, &mut y));
    median("group norm", || group_norm(&x, [1, 320, 4096], 32, &g, &b, 1e-5, &mut y));
    median("group norm silu", || group_norm_silu(&x, [1, 320, 4096], 32, &g, &b, 1e-5, &mut y));
    let grad = x.clone();
    median("silu backward", || silu_backward(&x, &grad, &mut y));
    median("gelu backward", || gelu_backward(&x, &grad, &mut y));
    median("group norm silu backward", || {
        group_norm_silu_backward(&x, [1, 320, 4096], 32, &g, &b, 1e-5, &grad, &mut y);
    });
    median("layer norm backward", || {
        layer_norm_backward(&x, &g, 1e-5, &grad, &mut y);
    });
}
