//! k-diffusion's arithmetic on variance-exploding levels, which are f32 there, with roots, logarithms and exponentials to the
//! nearest float. Those of torch on a CPU are not always that: `tests/golden/reference_spread.py`.

use super::exponential::Integral;
use crate::Level;

/// [`split`](super::ancestral::split) by k-diffusion's operations, in their order (`get_ancestral_step`).
///
/// Where a step goes down to a hundredth of `sigma`, what is kept is the rounding of a difference of almost equal squares.
/// DPM2 a and DPM++ 2S a take the middle of the step from it.
pub(super) fn split(from: Level, to: Level, eta: f64) -> (f64, f64) {
    if eta == 0.0 {
        return (to.sigma, 0.0);
    }
    let (from, to) = (from.sigma as f32, to.sigma as f32);
    let renewed = to * to * (from * from - to * to) / (from * from);
    let fresh = (eta as f32 * renewed.max(0.0).sqrt()).min(to);
    let kept = (to * to - fresh * fresh).sqrt();
    (kept.into(), fresh.into())
}

/// [`below_until`](super::Fresh::below_until) with times for levels, as DPM-Solver's sampler has them.
pub(super) fn below_until(from: f32, to: f32, end: f32, eta: f64) -> (f32, f64) {
    let [upper, lower] = [from, to].map(level);
    let below = time(Level::ve(split(upper, lower, eta).0)).min(end).max(to);
    let [kept, whole] = [below, to].map(|time| exp(-time));
    (below, (whole * whole - kept * kept).max(0.0).sqrt().into())
}

/// The level that churn raises `from` to, and the deviation of the noise that does it.
pub(super) fn raised(from: Level, gamma: f64) -> (Level, f64) {
    let from = from.sigma as f32;
    let raised = from * (gamma + 1.0) as f32;
    (Level::ve(raised.into()), (raised * raised - from * from).sqrt().into())
}

/// `from`, the level at this share of the way to `to` in `-ln(sigma)`, and `to`, all of them back from their logarithms.
///
/// That moves the last digit of the ends, over which a Brownian path moves by a thousandth.
pub(super) fn stages(from: Level, to: Level, share: f64) -> [Level; 3] {
    let [start, end] = [from, to].map(time);
    [start, start + (end - start) * share as f32, end].map(level)
}

/// `-ln(sigma)`.
pub(super) fn time(level: Level) -> f32 {
    -ln(level.sigma as f32)
}

/// The level at a time.
pub(super) fn level(time: f32) -> Level {
    Level::ve(exp(-time).into())
}

/// The solution for constant noise at this time, at the end of a way of length `h`. This may not be the difference of
/// both times, which are rounded.
pub(super) fn integral(to: f32, h: f32) -> Integral {
    let gain = -exp(-to);
    Integral { keep: 1.0, gain: gain.into(), u: h.into(), whole: (gain * exp_m1(h)).into() }
}

fn ln(x: f32) -> f32 {
    f64::from(x).ln() as f32
}

fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}

fn exp_m1(x: f32) -> f32 {
    f64::from(x).exp_m1() as f32
}

#[cfg(test)]
mod tests {
    use super::super::ancestral;
    use super::*;

    #[test]
    fn it_is_exact_but_for_rounding() {
        let (from, to) = (Level::ve(3.0), Level::ve(2.0));
        let ((kept, fresh), exact) = (split(from, to, 0.7), ancestral::split(from, to, 0.7));
        assert!((kept - exact.0).abs() < 1e-6 && (fresh - exact.1).abs() < 1e-6);
        for (level, exact) in stages(from, to, 0.3).into_iter().zip([from, from.toward(to, 0.3), to]) {
            assert!((level.sigma - exact.sigma).abs() < 1e-6 && level.alpha == 1.0);
        }
    }

    #[test]
    fn churn_is_exact_but_for_rounding() {
        let (level, deviation) = raised(Level::ve(3.0), 0.25);
        assert_eq!(level, Level::ve(3.75));
        assert!((deviation - (3.75f64.powi(2) - 9.0).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn nothing_goes_below_the_end() {
        let [from, to] = [3.0, 2.0].map(|sigma| time(Level::ve(sigma)));
        let ends = [0.01, 1.9, 2.0].map(|sigma| time(Level::ve(sigma)));
        for (end, eta) in ends.into_iter().zip([0.5, 1.0, 1e9]) {
            let (below, deviation) = below_until(from, to, end, eta);
            let variance = level(below).sigma.powi(2) + deviation * deviation;
            assert!(below >= to && below <= end && (variance - 4.0).abs() < 1e-5, "{below} {deviation}");
        }
    }

    #[test]
    fn its_ends_are_finite() {
        let ends = [(3.0, 0.0), (2.0, 2.0), (2.0, 3.0), (1e-15, 0.0), (1e15, 1.0)];
        for (from, to) in ends.map(|(from, to)| (Level::ve(from), Level::ve(to))) {
            let (kept, fresh) = split(from, to, 1.0);
            assert!(kept >= 0.0 && fresh >= 0.0 && fresh <= to.sigma, "{kept} {fresh}");
        }
    }
}
