//! peak
#![allow(clippy::print_stdout)]
use pulp::*;
struct P;
impl WithSimd for P {
    type Output = f32;
    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) -> f32 {
        let a = s.splat_f32s(std::hint::black_box(0.5));
        let mut acc = [s.splat_f32s(std::hint::black_box(1.0)); 24];
        for _ in 0..20_000_000 {
            for x in &mut acc {
                *x = s.mul_add_f32s(*x, a, a);
            }
        }
        let mut t = acc[0];
        for x in acc {
            t = s.add_f32s(t, x);
        }
        s.reduce_sum_f32s(t)
    }
}
fn main() {
    for _ in 0..3 {
        let t = std::time::Instant::now();
        let r = Arch::new().dispatch(P);
        let d = t.elapsed().as_secs_f64();
        println!("{r} {:.1} GF/s", 20e6 * 24. * 32. / d * 1e-9);
    }
}
