//! Levels on the way of a step.

use crate::Level;

/// The level at the share `r` of the way from `from` to `to` in lambda. `None` if the way has no finite length, or none
/// at all.
pub(super) fn within(from: Level, to: Level, r: f64) -> Option<Level> {
    let h = from.h(to);
    (h.is_finite() && h != 0.0).then(|| if r == 1.0 { to } else { from.toward(to, r) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_needs_a_way() {
        let ways = [(Level::ve(1.0), Level::CLEAN), (Level::vp(0.0), Level::vp(0.5)), (Level::CLEAN, Level::CLEAN)];
        for (from, to) in ways {
            assert_eq!(within(from, to, 0.5), None);
        }
        assert_eq!(within(Level::vp(0.1), Level::vp(0.7), 1.0), Some(Level::vp(0.7)));
    }
}
