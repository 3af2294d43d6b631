//! timings
#![allow(clippy::print_stdout, clippy::unwrap_used)]
use std::time::Instant;
use t2i_kernels::attention::*;
fn median(mut f: impl FnMut(), n: usize) -> f64 {
    f();
    let mut t: Vec<f64> = (0..n)
        .map(|_| {
            let s = Instant::now();
            f();
            s.elapsed().as_secs_f64()
        })
        .collect();
    t.sort_by(f64::total_cmp);
    {
        print!("min {:.3} ", t[0] * 1e3);
        t[n / 2]
    }
}
fn main() {
    let only = std::env::args().nth(1).and_then(|x| x.parse::<usize>().ok());
    for (i, ([b, h, lq, lk, d], torch)) in [
        ([2, 8, 1024, 1024, 80], 31.6),
        ([1, 8, 4096, 4096, 40], 152.0),
        ([1, 10, 1024, 1024, 64], 0.),
        ([2, 8, 256, 256, 160], 0.),
        ([1, 1, 2048, 2048, 512], 0.),
        ([1, 8, 4096, 77, 40], 0.),
        ([1, 8, 1024, 77, 80], 0.),
        ([1, 8, 1, 1024, 64], 0.),
    ]
    .into_iter()
    .enumerate()
    {
        if only.is_some_and(|o| o != i) {
            continue;
        }
        let draw = |n: usize| -> Vec<f32> {
            let mut s = 1u32;
            (0..n)
                .map(|_| {
                    s = s.wrapping_mul(1664525).wrapping_add(1013904223);
                    (s >> 8) as f32 / (1 << 23) as f32 - 1.
                })
                .collect()
        };
        let (q, k, v) = (draw(b * h * lq * d), draw(b * h * lk * d), draw(b * h * lk * d));
        let mut out = vec![0.0; b * h * lq * d];
        for layout in [Layout::Heads, Layout::Tokens] {
            if std::env::args().nth(2).is_some_and(|a| a != format!("{layout:?}")) {
                continue;
            }
            let t = median(
                || {
                    attention(
                        Heads::new(&q, [b, h, lq, d], layout),
                        Heads::new(&k, [b, h, lk, d], layout),
                        Heads::new(&v, [b, h, lk, d], layout),
                        Mask::None,
                        1.0 / (d as f32).sqrt(),
                        layout,
                        &mut out,
                    )
                },
                5,
            );
            println!(
                "{:?} {layout:?}: {:.3} ms, {:.0} GF/s (torch {torch})",
                [b, h, lq, lk, d],
                t * 1e3,
                (4 * b * h * lq * lk * d) as f64 / t * 1e-9
            );
        }
    }
}
