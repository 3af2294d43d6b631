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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::concepts;

    #[test]
    fn about_eight_in_a_hundred_are_held_out() {
        let concepts = concepts().unwrap();
        let share = |held: Vec<bool>| held.iter().filter(|held| **held).count() as f64 / held.len() as f64;
        let colours = concepts.iter().flat_map(|a| Colour::ALL.map(|colour| is_colour_held_out(a, colour))).collect();
        let pairs = (0..concepts.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        let pairs = pairs.map(|(i, j)| is_pair_held_out(&concepts[i], &concepts[j])).collect();
        let (colours, pairs) = (share(colours), share(pairs));
        assert!((colours - 0.08).abs() < 0.015, "{colours}");
        assert!((pairs - 0.08).abs() < 0.005, "{pairs}");
    }

    #[test]
    fn the_order_of_a_pair_does_not_matter() {
        let concepts = concepts().unwrap();
        let first = &concepts[0];
        assert!(concepts.iter().all(|other| is_pair_held_out(first, other) == is_pair_held_out(other, first)));
    }

    /// Other values would mix up what trained models have seen.
    #[test]
    fn the_hash_is_fnv() {
        // http://www.isthe.com/chongo/src/fnv/test_fnv.c: "foobar" of FNV-1a, with the 0 that ends it there too.
        assert_eq!(hash(&["foobar"]), 0x34531ca7168b8f38 >> 16);
    }
}
