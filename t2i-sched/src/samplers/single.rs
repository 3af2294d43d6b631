//! k-diffusion's arithmetic on levels, which are f32 there.

use crate::Level;

/// The level at a share of a step in `lambda`, and the ends of the step.
pub(super) type Stages = fn(Level, Level, f64) -> [Level; 3];

/// `from`, the level at this share of the way to `to`, and `to`.
pub(super) fn exact_stages(from: Level, to: Level, share: f64) -> [Level; 3] {
    [from, from.toward(to, share), to]
}

/// [`exact_stages`] at variance-exploding levels, all of them back from their logarithms in f32.
///
/// That moves the last digit of the ends, over which a Brownian path moves by a thousandth.
pub(super) fn f32_stages(from: Level, to: Level, share: f64) -> [Level; 3] {
    let inside = |level: Level| level.alpha == 1.0 && level.sigma as f32 > 0.0 && (level.sigma as f32).is_finite();
    if !inside(from) || !inside(to) {
        return exact_stages(from, to, share);
    }
    let [start, end] = [from, to].map(|level| -ln(level.sigma as f32));
    let times = [start, start + (end - start) * share as f32, end];
    times.map(|time| Level::ve(f64::from(exp(-time))))
}

/// The nearest f32, which the system's own need not be.
fn ln(x: f32) -> f32 {
    f64::from(x).ln() as f32
}

fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f32_is_exact_but_for_rounding() {
        for (from, to) in [(3.0, 2.0), (14.6, 0.03), (2.0, 2.0)].map(|(a, b)| (Level::ve(a), Level::ve(b))) {
            for (level, exact) in f32_stages(from, to, 0.3).into_iter().zip(exact_stages(from, to, 0.3)) {
                assert!((level.sigma / exact.sigma - 1.0).abs() < 1e-6 && level.alpha == 1.0);
            }
        }
        for (from, to) in [(Level::vp(0.1), Level::vp(0.2)), (Level::ve(1e-60), Level::ve(1e-61))] {
            assert_eq!(f32_stages(from, to, 0.3), exact_stages(from, to, 0.3));
        }
    }
}
