//! The blocks of the network: one a resolution on the way down, one in the middle, one a resolution on the way up.

mod down;
mod mid;
mod up;

pub(crate) use down::{DownBlock, DownBlockConfig};
pub(crate) use mid::{MidBlock, MidBlockConfig};
pub(crate) use up::{UpBlock, UpBlockConfig};
