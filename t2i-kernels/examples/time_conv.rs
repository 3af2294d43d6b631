//! Timings.
#![allow(missing_docs, clippy::all, unreachable_pub, clippy::print_stdout, clippy::unwrap_used)]
mod timing;
use t2i_kernels::*;
use timing::measure;
fn main() {
    let secs = std::env::args().nth(1).map_or(0.5, |s| s.parse().unwrap());
    let only = std::env::args().nth(2);
    for (i, (b, c, o, s, torch)) in [
        (1, 320, 320, 64, 38.4),
        (1, 640, 640, 32, 34.4),
        (1, 1280, 1280, 16, 50.4),
        (1, 512, 512, 128, 364.0),
        (2, 320, 320, 64, 76.),
        (2, 1280, 1280, 16, 0.),
        (2, 1280, 1280, 8, 0.),
        (1, 128, 128, 256, 0.),
        (16, 64, 64, 64, 0.),
        (1, 1280, 1280, 8, 0.),
    ]
    .into_iter()
    .enumerate()
    {
        if only.as_ref().is_some_and(|o| !o.split(',').any(|o| o == i.to_string())) {
            continue;
        }
        let x: Vec<f32> = (0..b * c * s * s).map(|i| (i % 13) as f32 - 6.0).collect();
        let w: Vec<f32> = (0..c * o * 9).map(|i| (i % 7) as f32 - 3.0).collect();
        let bias = vec![1.0; o];
        let mut out = vec![0.0; b * o * s * s];
        if std::env::args().nth(3).is_some() {
            let p = Conv2d::new(&w[..c * o], [o, c], Window::square(1, 1, 0));
            measure(&format!("1x1 {b} {c}->{o} @{s}"), 2.0 * (b * c * o * s * s) as f64, 0.0, secs, || {
                p.forward(&x, [s, s], Some(&bias), &mut out)
            });
            let p = Conv2d::new(&w, [o, c], Window::square(3, 2, 1));
            let h = s / 2;
            measure(&format!("stride 2 {b} {c}->{o} @{s}"), 2.0 * (b * c * o * h * h * 9) as f64, 0.0, secs, || {
                p.forward(&x, [s, s], Some(&bias), &mut out[..b * o * h * h])
            });
            let dout = vec![1.0; out.len()];
            let mut dw = vec![0.0; w.len()];
            measure(&format!("dweight {b} {c}->{o} @{s}"), 2.0 * (b * c * o * s * s * 9) as f64, 0.0, secs, || {
                conv3x3_weight_gradient(&x, &dout, [o, c], [s, s], &mut dw)
            });
            continue;
        }
        let p = Conv2d::new(&w, [o, c], Window::square(3, 1, 1));
        measure(&format!("winograd {b} {c}->{o} @{s}"), 2.0 * (b * c * o * s * s * 9) as f64, torch, secs, || {
            p.forward(&x, [s, s], Some(&bias), &mut out)
        });
    }
}
