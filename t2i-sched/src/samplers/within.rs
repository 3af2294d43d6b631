//! Levels on the way of a step.

use crate::Level;

/// The level at the share `r` of the way from `from` to `to` in lambda, in the coordinates of both: `alpha` stays where
/// it is equal, flow levels stay flow levels, and the norm goes from one to the other elsewhere. `None` if the way has no
/// finite length, or none at all.
pub(super) fn within(from: Level, to: Level, r: f64) -> Option<Level> {
    let h = from.h(to);
    if !h.is_finite() || h == 0.0 {
        return None;
    }
    if r == 1.0 {
        return Some(to);
    }
    let ratio = (-(from.lambda() + r * h)).exp(); // sigma / alpha
    let is_flow = |level: Level| (level.alpha + level.sigma - 1.0).abs() < 1e-9;
    if from.alpha == to.alpha {
        return Some(Level { alpha: from.alpha, sigma: from.alpha * ratio });
    }
    if is_flow(from) && is_flow(to) {
        return Some(Level::flow(ratio / (1.0 + ratio)));
    }
    let norm = (from.norm().ln() * (1.0 - r) + to.norm().ln() * r).exp();
    let alpha = norm / 1.0f64.hypot(ratio);
    Some(Level { alpha, sigma: alpha * ratio })
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
        for (from, to) in
            [(Level::ve(1.0), Level::CLEAN), (Level::vp(0.0), Level::vp(0.5)), (Level::CLEAN, Level::CLEAN)]
        {
            assert_eq!(within(from, to, 0.5), None);
        }
    }
}
