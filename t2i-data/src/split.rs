//! What a model never sees in training, so that it can be asked for it afterwards.

use crate::{Colour, Concept};

/// Of a hundred pairs, how many are held out.
const HELD_OUT: u64 = 8;

/// Whether no training picture has this object on this colour.
pub fn is_colour_held_out(object: &Concept, colour: Colour) -> bool {
    hash(&[&object.name, colour.name()]) % 100 < HELD_OUT
}

/// Whether no training picture has these two objects, in either order.
pub fn is_pair_held_out(a: &Concept, b: &Concept) -> bool {
    let (first, second) = if a.name <= b.name { (a, b) } else { (b, a) };
    hash(&[&first.name, &second.name]) % 100 < HELD_OUT
}

/// FNV-1a, of 64 bits: the same on every machine, in every version. <http://www.isthe.com/chongo/tech/comp/fnv/>
fn hash(words: &[&str]) -> u64 {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)) >> 16
}
