//! The kinds of scenes that a model is asked for.

use t2i_data::{Concept, Scene, Scenes, Unseen};

/// What a row of the table asks for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    One,
    OneUnseen,
    Two,
    TwoUnseen,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::One, Kind::OneUnseen, Kind::Two, Kind::TwoUnseen];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one object",
            Self::OneUnseen => "one object, held-out colour",
            Self::Two => "two objects",
            Self::TwoUnseen => "two objects, held-out pair",
        }
    }
}

/// Scenes of every kind, by number.
pub(crate) struct Scenery {
    one: Scenes,
    two: Scenes,
    unseen: Unseen,
}

impl Scenery {
    /// Trainings count their seeds from below, so these are counted from above.
    pub(crate) fn new(concepts: &[Concept], seed: u64) -> Result<Self, t2i::Error> {
        let seed = u64::MAX - seed;
        let (one, two) = (Scenes::new(concepts, seed, 0.0)?, Scenes::new(concepts, seed, 1.0)?);
        Ok(Self { one, two, unseen: Unseen::new(concepts, seed)? })
    }

    pub(crate) fn scene(&self, kind: Kind, index: u64) -> Scene {
        match kind {
            Kind::One => self.one.scene(index),
            Kind::OneUnseen => self.unseen.one(index),
            Kind::Two => self.two.scene(index),
            Kind::TwoUnseen => self.unseen.two(index),
        }
    }
}
