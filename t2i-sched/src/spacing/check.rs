//! Whether a run can visit a list of levels.

use t2i_core::{Error, Result};

use crate::Level;

/// At least two levels, each of them finite, without negative parts and not 0 altogether.
///
/// # Errors
/// If not, naming the first level that is wrong, counted from 0.
pub fn check_finite(levels: &[Level]) -> Result<()> {
    if levels.len() < 2 {
        return Err(wrong(format!("{} long", levels.len()), "a start and an end at least"));
    }
    let usable = |part: f64| part.is_finite() && part >= 0.0;
    match levels.iter().position(|l| !usable(l.alpha) || !usable(l.sigma) || l.norm() == 0.0) {
        Some(i) => Err(wrong(show(levels, i), "finite, not negative, and not both 0")),
        None => Ok(()),
    }
}

/// [`check_finite`], and each level has less noise for its image than the one before: the way from noise to a picture.
///
/// The plans of PNDM visit a level twice on purpose and do not pass.
///
/// # Errors
/// If not, naming the first two levels that are wrong, counted from 0.
pub fn check_descending(levels: &[Level]) -> Result<()> {
    check_finite(levels)?;
    check_pairs(levels, noisier, "of less noise from each level to the next")
}

/// [`check_finite`], and each level has more noise for its image than the one before: the way of inversion, from a
/// picture to noise.
///
/// # Errors
/// If not, naming the first two levels that are wrong, counted from 0.
pub fn check_ascending(levels: &[Level]) -> Result<()> {
    check_finite(levels)?;
    check_pairs(levels, |from, to| noisier(to, from), "of more noise from each level to the next")
}

/// `a.sigma / a.alpha > b.sigma / b.alpha`, which pure noise decides as well.
fn noisier(a: Level, b: Level) -> bool {
    a.sigma * b.alpha > b.sigma * a.alpha
}

fn check_pairs(levels: &[Level], right: impl Fn(Level, Level) -> bool, expected: &str) -> Result<()> {
    match levels.windows(2).position(|pair| !right(pair[0], pair[1])) {
        Some(i) => Err(wrong(format!("{}, then {}", show(levels, i), show(levels, i + 1)), expected)),
        None => Ok(()),
    }
}

fn show(levels: &[Level], i: usize) -> String {
    format!("alpha = {}, sigma = {} at level {i}", levels[i].alpha, levels[i].sigma)
}

fn wrong(value: String, expected: &str) -> Error {
    Error::InvalidValue { field: "levels", value, expected: expected.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let message = |levels: &[Level]| check_descending(levels).unwrap_err().to_string();
        assert_eq!(message(&[Level::CLEAN]), "levels is 1 long, but must be a start and an end at least");
        let nan = message(&[Level::ve(2.0), Level::ve(f64::NAN), Level::CLEAN]);
        assert!(nan.contains("alpha = 1, sigma = NaN at level 1"), "{nan}");
        let equal = message(&[Level::ve(2.0), Level::ve(1.0), Level::ve(1.0)]);
        assert!(equal.contains("sigma = 1 at level 1, then alpha = 1, sigma = 1 at level 2"), "{equal}");
    }

    #[test]
    fn all_coordinates_and_both_ends_pass() {
        for level in [Level::ve as fn(f64) -> Level, Level::flow, |a| Level::vp(1.0 - a)] {
            let down = [level(0.9), level(0.5), level(0.1), Level::CLEAN];
            let up: Vec<Level> = down.into_iter().rev().collect();
            assert!(check_descending(&down).is_ok() && check_ascending(&down).is_err());
            assert!(check_ascending(&up).is_ok() && check_descending(&up).is_err());
        }
        assert!(check_descending(&[Level::vp(0.0), Level::vp(0.1), Level::CLEAN]).is_ok());
    }

    #[test]
    fn no_part_may_be_infinite_or_negative_and_not_both_0() {
        let bad = [Level::ve(f64::INFINITY), Level::ve(-1.0), Level::flow(2.0), Level { alpha: 0.0, sigma: 0.0 }];
        for level in bad {
            assert!(check_finite(&[level, Level::CLEAN]).is_err(), "{level:?}");
        }
    }
}
