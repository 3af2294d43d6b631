//! Captioned pictures for training: openly licensed emoji art, composed into scenes.
//!
//! | question | answer |
//! |---|---|
//! | where does the art come from | [`Archives`] |
//! | what can a picture show | [`concepts`], [`Style`], [`Colour`], [`Relation`] |
//! | what does one picture show, and how is that said | [`Scene`] |
//! | how does it look | [`Library::render`] |
//! | what is trained on, and what is not | [`Scenes`], [`Unseen`], [`is_colour_held_out`], [`is_pair_held_out`] |
//! | does a picture show what was asked for | [`Judge`], [`frechet_distance`] |
//! | whose art is it | [`LICENSES`] |

mod archives;
mod art;
mod cells;
mod concepts;
mod frechet;
mod judge;
mod library;
mod scene;
mod scenes;
mod split;
mod unseen;
mod words;

pub use archives::{Archives, EMOJIBASE, FLUENT, FLUENT_3D, FLUENT_FLAT, NOTO, PACKAGES, Package};
pub use concepts::{Concept, concepts};
pub use frechet::frechet_distance;
pub use judge::{Judge, Seen, Verdict};
pub use library::Library;
pub use scene::Scene;
pub use scenes::Scenes;
pub use split::{is_colour_held_out, is_pair_held_out};
pub use unseen::Unseen;
pub use words::{Colour, Relation, Style};

/// The licences of the art and whom it is by: what goes with pictures, and with models that learned from them.
pub const LICENSES: &str = include_str!("../LICENSES.md");
