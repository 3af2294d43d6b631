//! Timings.
#![allow(clippy::print_stdout, missing_docs)]
use std::time::Instant;
use t2i_kernels::*;
fn median(mut f: impl FnMut()) -> f64 {
    f();
    let mut t: Vec<f64> = (0..9).map(|_| { let s = Instant::now(); f(); s.elapsed().as_secs_f64() }).collect();
    t.sort_by(f64::total_cmp);
    t[4]
}
fn main() {
    for (m, k, n) in [(4096, 320, 2560), (2048, 640, 640), (154, 768, 320), (1, 1280, 1280), (64, 1280, 1280), (1024,1024,1024)] {
        let x: Vec<f32> = (0..m * k).map(|i| (i % 13) as f32 - 6.0).collect();
        let w: Vec<f32> = (0..n * k).map(|i| (i % 7) as f32 - 3.0).collect();
        let bias = vec![1.0; n];
        let mut out = vec![0.0; m * n];
        let p = PackedMatrix::new(Matrix::new(&w, n, k).t());
        let t = median(|| linear(&x, &p, Some(&bias), &mut out));
        let t2 = median(|| matmul(Matrix::new(&x, m, k), Matrix::new(&w, n, k).t(), &mut out));
        let gf = 2.0 * (m * n * k) as f64 / 1e9;
        println!("{m}x{k}x{n}: linear {:.2} ms {:.0} GF/s; matmul {:.2} ms {:.0}", t * 1e3, gf / t, t2 * 1e3, gf / t2);
    }
}
