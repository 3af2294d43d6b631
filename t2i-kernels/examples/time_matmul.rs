//! Timings.
#![allow(missing_docs, clippy::all, unreachable_pub, clippy::print_stdout, clippy::unwrap_used)]
mod timing;
use t2i_kernels::*;
use timing::measure;
fn main() {
    let secs = std::env::args().nth(1).map_or(0.5, |s| s.parse().unwrap());
    for (m, k, n, torch) in [
        (4096, 320, 2560, 44.5),
        (2048, 640, 640, 9.25),
        (154, 768, 320, 0.0),
        (1, 1280, 1280, 0.),
        (64, 1280, 1280, 0.),
        (1024, 1024, 1024, 0.),
    ] {
        let x: Vec<f32> = (0..m * k).map(|i| (i % 13) as f32 - 6.0).collect();
        let w: Vec<f32> = (0..n * k).map(|i| (i % 7) as f32 - 3.0).collect();
        let bias = vec![1.0; n];
        let mut out = vec![0.0; m * n];
        let p = PackedMatrix::new(Matrix::new(&w, n, k).t());
        let gf = 2.0 * (m * n * k) as f64;
        measure(&format!("linear {m}x{k}x{n}"), gf, torch, secs, || linear(&x, &p, Some(&bias), &mut out));
        if secs >= 0.5 {
            measure(&format!("matmul {m}x{k}x{n}"), gf, torch, secs, || {
                matmul(Matrix::new(&x, m, k), Matrix::new(&w, n, k).t(), &mut out)
            });
        }
    }
}
