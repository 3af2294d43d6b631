//! Where a step begins and ends, in either arithmetic.

use burn::tensor::{DType, Tensor};

use super::exponential::{Integral, Variable};
use super::single;
use crate::Level;

/// How levels are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Double,
    Single,
}

impl Arithmetic {
    /// For this latent: rounding of levels would show in one of more digits.
    pub(super) fn of(self, x: &Tensor<4>) -> Self {
        if x.dtype() == DType::F64 { Self::Double } else { self }
    }

    /// Whether these levels are computed as in k-diffusion: there are f32 numbers for them, and for their squares.
    pub(super) fn is_single(self, from: Level, to: Level) -> bool {
        let fits = |level: Level| level.alpha == 1.0 && (1e-15..1e15).contains(&level.sigma);
        self == Self::Single && fits(from) && fits(to)
    }

    /// A number as it is in this arithmetic.
    pub(super) fn round(self, number: f64) -> f64 {
        match self {
            Self::Double => number,
            Self::Single => f64::from(number as f32),
        }
    }

    /// The ends of a step.
    pub(super) fn places(self, from: Level, to: Level) -> [Place; 2] {
        match self.is_single(from, to) {
            true => [from, to].map(|level| Place::Time(single::time(level))),
            false => [from, to].map(Place::Level),
        }
    }
}

/// A level, or k-diffusion's time for a variance-exploding one: `-ln(sigma)` in f32.
///
/// DPM adaptive chooses its first steps by errors that are the rounding of the latent. So they are k-diffusion's steps
/// only if every operation on f32 numbers is, and so is their order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    Level(Level),
    Time(f32),
}

impl Place {
    pub(super) fn level(self) -> Level {
        match self {
            Self::Level(level) => level,
            Self::Time(time) => single::level(time),
        }
    }

    /// The length of the way to `to`, in `lambda`.
    pub(super) fn h(self, to: Self) -> f64 {
        match (self, to) {
            (Self::Time(time), Self::Time(end)) => (end - time).into(),
            _ => self.level().h(to.level()),
        }
    }

    /// The place after a step of length `h` toward `to`, at most `to`.
    pub(super) fn step(self, to: Self, h: f64) -> Self {
        let left = self.h(to);
        match self {
            _ if h >= left.abs() => to,
            Self::Time(time) => Self::Time(time + h.copysign(left) as f32),
            Self::Level(level) => Self::Level(level.toward(to.level(), h / left.abs())),
        }
    }

    /// The solution at `to` for a constant direction.
    pub(super) fn integral(self, to: Self) -> Integral {
        match (self, to) {
            (Self::Time(time), Self::Time(end)) => single::integral(end, end - time),
            _ => Variable::Noise.integral(self.level(), to.level()),
        }
    }

    /// The place at this share of the way to `to`, and the solution there.
    pub(super) fn toward(self, to: Self, share: f64) -> (Self, Integral) {
        match (self, to) {
            (Self::Time(time), Self::Time(end)) => {
                let h = share as f32 * (end - time);
                (Self::Time(time + h), single::integral(time + h, h))
            }
            _ => {
                let middle = Self::Level(self.level().toward(to.level(), share));
                (middle, self.integral(middle))
            }
        }
    }

    pub(super) fn arithmetic(self) -> Arithmetic {
        match self {
            Self::Level(_) => Arithmetic::Double,
            Self::Time(_) => Arithmetic::Single,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_levels_but_for_rounding() {
        let (from, to) = (Level::ve(14.6), Level::ve(0.5));
        let near = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-6, "{a} for {b}");
        let [[start, end], [exact, last]] =
            [Arithmetic::Single, Arithmetic::Double].map(|arithmetic| arithmetic.places(from, to));
        assert!(matches!(start, Place::Time(_)) && matches!(exact, Place::Level(_)));
        near(start.h(end), exact.h(last));
        near(start.step(end, 1.0).level().sigma, exact.step(last, 1.0).level().sigma);
        assert_eq!(start.step(end, 9.0), end);
        let ((middle, way), (level, part)) = (start.toward(end, 0.3), exact.toward(last, 0.3));
        near(middle.level().sigma, level.level().sigma);
        near(way.whole, part.whole);
        near(start.integral(end).whole, exact.integral(last).whole);
    }

    #[test]
    fn other_levels_stay_as_they_are() {
        for (from, to) in
            [(Level::vp(0.1), Level::vp(0.9)), (Level::ve(1.0), Level::CLEAN), (Level::ve(1e20), Level::ve(1.0))]
        {
            assert_eq!(Arithmetic::Single.places(from, to), [from, to].map(Place::Level));
        }
    }
}
