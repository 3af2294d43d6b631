//! Levels on the way of a step.

use crate::Level;

/// The level at the share `r` of the way from `from` to `to` in lambda, in the coordinates of both. `None` if the way
/// has no finite length, or none at all.
pub(super) fn within(from: Level, to: Level, r: f64) -> Option<Level> {
    let h = from.h(to);
    if !h.is_finite() || h == 0.0 {
        return None;
    }
    Some(if r == 1.0 { to } else { between(from, to, (-(from.lambda() + r * h)).exp()) })
}

/// The level of this `sigma / alpha` in the coordinates of two others: `alpha` stays where it is equal, flow levels stay
/// flow levels, and elsewhere the norm goes from one to the other.
pub(super) fn between(from: Level, to: Level, ratio: f64) -> Level {
    let is_flow = |level: Level| (level.alpha + level.sigma - 1.0).abs() < 1e-9;
    if from.alpha == to.alpha {
        return Level { alpha: from.alpha, sigma: from.alpha * ratio };
    }
    if is_flow(from) && is_flow(to) {
        return Level::flow(ratio / (1.0 + ratio));
    }
    let share = (-ratio.ln() - from.lambda()) / from.h(to);
    let share = if share.is_finite() { share } else { 0.0 };
    let norm = (from.norm().ln() * (1.0 - share) + to.norm().ln() * share).exp();
    let alpha = norm / 1.0f64.hypot(ratio);
    Level { alpha, sigma: alpha * ratio }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_coordinates() {
        let middle = within(Level::ve(4.0), Level::ve(1.0), 0.5).unwrap_or(Level::CLEAN);
        assert!((middle.sigma - 2.0).abs() < 1e-14 && middle.alpha == 1.0);
        let middle = within(Level::vp(0.1), Level::vp(0.7), 0.3).unwrap_or(Level::CLEAN);
        assert!((middle.norm() - 1.0).abs() < 1e-14);
        let middle = within(Level::flow(0.9), Level::flow(0.2), 0.3).unwrap_or(Level::CLEAN);
        assert!((middle.alpha + middle.sigma - 1.0).abs() < 1e-14);
    }

    #[test]
    fn it_needs_a_way() {
        let ways = [(Level::ve(1.0), Level::CLEAN), (Level::vp(0.0), Level::vp(0.5)), (Level::CLEAN, Level::CLEAN)];
        for (from, to) in ways {
            assert_eq!(within(from, to, 0.5), None);
        }
    }
}
