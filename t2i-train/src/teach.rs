//! Teaching a model something new from a few pictures, while its own weights stay as they are.
//!
//! | what learns | what it is good for |
//! |---|---|
//! | [`Word`]: vectors that a new word is read as | the smallest file; the model draws what it can already draw |
//! | [`LowRank`]: small changes of layers | new shapes and styles |

mod frozen;
mod lessons;
mod low_rank;
mod pictures;
mod word;

pub use frozen::{Frozen, Lesson};
pub use lessons::{Lessons, Prior, TEMPLATES};
pub use low_rank::LowRank;
pub use pictures::{Picture, read_pictures};
pub use word::Word;

use burn::module::Module;
use burn::tensor::{Int, Tensor};
use t2i::TextEncoder;
use t2i_text::TextOutput;
use t2i_unet::UNet;

/// What learns beside a frozen model: how the networks read and predict with it.
pub trait Learner: Module {
    /// What a text encoder makes of token ids, `[batch, tokens]`.
    fn read(&self, encoder: &TextEncoder, ids: Tensor<2, Int>) -> TextOutput;

    /// The UNet with what was learned.
    fn unet(&self, unet: &UNet) -> UNet;
}
