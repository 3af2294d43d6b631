//! Scenes that a training never shows, although it shows each part of them.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use t2i_core::{Error, Result};

use crate::split::{is_colour_held_out, is_pair_held_out};
use crate::{Colour, Concept, Relation, Scene, Style};

/// Scenes of known concepts in combinations that are held out, by number.
#[derive(Debug, Clone)]
pub struct Unseen {
    seed: u64,
    /// An object and a colour that are held out together.
    colours: Vec<(usize, Colour)>,
    /// Two objects that are held out together, and the colours on which each of them is known.
    pairs: Vec<([usize; 2], Vec<Colour>)>,
}

impl Unseen {
    /// # Errors
    /// If nothing is held out of these concepts: there are too few.
    pub fn new(concepts: &[Concept], seed: u64) -> Result<Self> {
        let known: Vec<_> = (0..concepts.len()).filter(|i| !concepts[*i].held_out).collect();
        let is_out = |object: usize, colour: Colour| is_colour_held_out(&concepts[object], colour);
        let colours = known.iter().flat_map(|&object| Colour::ALL.map(|colour| (object, colour)));
        let pairs = known.iter().flat_map(|&a| known.iter().filter(move |&&b| a < b).map(move |&b| [a, b]));
        let pairs = pairs.filter(|&[a, b]| is_pair_held_out(&concepts[a], &concepts[b]));
        let on_known_colours = |objects: [usize; 2]| {
            let is_known = |colour: &Colour| !objects.iter().any(|&object| is_out(object, *colour));
            (objects, Colour::ALL.into_iter().filter(is_known).collect::<Vec<_>>())
        };
        let unseen = Self {
            seed,
            colours: colours.filter(|&(object, colour)| is_out(object, colour)).collect(),
            pairs: pairs.map(on_known_colours).filter(|(_, colours)| !colours.is_empty()).collect(),
        };
        match unseen.colours.is_empty() || unseen.pairs.is_empty() {
            false => Ok(unseen),
            true => Err(Error::InvalidValue {
                field: "concepts",
                value: format!("{} known ones", known.len()),
                expected: "enough that some combinations of them are held out".to_owned(),
            }),
        }
    }

    /// How many objects with a colour, and how many pairs of objects, are held out.
    pub fn counts(&self) -> (usize, usize) {
        (self.colours.len(), self.pairs.len())
    }

    /// Scene number `index` of one object on a colour that is held out with it.
    pub fn one(&self, index: u64) -> Scene {
        let mut random = self.random(2 * index);
        let (object, colour) = *of(&self.colours, &mut random);
        Scene::One { object, style: *of(&Style::ALL, &mut random), colour }
    }

    /// Scene number `index` of two objects that are held out together, on a colour on which each is known.
    pub fn two(&self, index: u64) -> Scene {
        let mut random = self.random(2 * index + 1);
        let (mut objects, colours) = of(&self.pairs, &mut random).clone();
        if random.random() {
            objects.reverse();
        }
        let (style, relation) = (*of(&Style::ALL, &mut random), *of(&Relation::ALL, &mut random));
        Scene::Two { objects, relation, style, colour: *of(&colours, &mut random) }
    }

    fn random(&self, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream);
        random
    }
}

fn of<'a, T>(all: &'a [T], random: &mut ChaCha8Rng) -> &'a T {
    all.choose(random).expect("there are some")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Scenes, concepts};

    #[test]
    fn each_part_is_known_and_the_whole_is_not() {
        let concepts = concepts().unwrap();
        let (unseen, scenes) = (Unseen::new(&concepts, 3).unwrap(), Scenes::new(&concepts, 3, 0.5).unwrap());
        for index in 0..500 {
            let (one, two) = (unseen.one(index), unseen.two(index));
            assert!(scenes.is_held_out(&one) && scenes.is_held_out(&two));
            assert!(one.objects().chain(two.objects()).all(|object| !concepts[object].held_out));
            assert!(two.objects().all(|object| !is_colour_held_out(&concepts[object], two.colour())));
            assert_eq!((unseen.one(index), unseen.two(index)), (one, two));
        }
        assert_ne!(unseen.two(0), Unseen::new(&concepts, 4).unwrap().two(0));
    }

    #[test]
    fn too_few_concepts_are_refused() {
        let error = Unseen::new(&concepts().unwrap()[..1], 0).unwrap_err().to_string();
        assert!(error.contains("concepts is 1 known ones"), "{error}");
    }
}
