//! Captioned pictures for training: openly licensed emoji art, composed into scenes.
//!
//! | question | answer |
//! |---|---|
//! | where does the art come from | [`Archives`] |
//! | what can a picture show | [`concepts`], [`Style`], [`Colour`], [`Relation`] |
//! | what does one picture show, and how is that said | [`Scene`] |
//! | how does it look | [`Library::render`] |
//! | what does a picture show | [`Judge`] |
//! | what is trained on, and what is not | [`Scenes`], [`is_colour_held_out`], [`is_pair_held_out`] |

mod archives;
mod art;
mod concepts;
mod judge;
mod library;
mod scene;
mod scenes;
mod split;
mod words;

pub use archives::{Archives, EMOJIBASE, FLUENT, FLUENT_3D, FLUENT_FLAT, NOTO, PACKAGES, Package};
pub use concepts::{Concept, concepts};
pub use judge::Judge;
pub use library::Library;
pub use scene::Scene;
pub use scenes::Scenes;
pub use split::{is_colour_held_out, is_pair_held_out};
pub use words::{Colour, Relation, Style};
