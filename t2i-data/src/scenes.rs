//! An endless stream of training scenes, each a function of its number.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::scene::with_article;
use crate::split::{is_colour_held_out, is_pair_held_out};
use crate::{Colour, Concept, Relation, Scene, Style};

/// Training scenes by number: scene `i` is the same whichever were asked for before, so that a training that is
/// stopped and resumed sees what it would have seen.
#[derive(Debug, Clone)]
pub struct Scenes {
    concepts: Vec<Concept>,
    /// The places of those that are not held out.
    known: Vec<usize>,
    seed: u64,
    pairs: f64,
}

impl Scenes {
    /// Scenes of all `concepts` that are not held out, of which a share `pairs` shows two objects.
    pub fn new(concepts: &[Concept], seed: u64, pairs: f64) -> Self {
        let known = (0..concepts.len()).filter(|i| !concepts[*i].held_out).collect();
        Self { concepts: concepts.to_vec(), known, seed, pairs }
    }

    /// Scene number `index`. It shows no pair that is held out.
    pub fn scene(&self, index: u64) -> Scene {
        let mut random = self.random(2 * index);
        loop {
            let scene = self.draw(&mut random);
            if !self.is_held_out(&scene) {
                return scene;
            }
        }
    }

    /// A caption for `scene`: the `index`-th of many ways to say it. Words are left out of some.
    pub fn caption(&self, scene: &Scene, index: u64) -> String {
        let mut random = self.random(2 * index + 1);
        let style = random.random_bool(0.9).then(|| scene.style().name());
        let colour = random.random_bool(0.9).then(|| scene.colour().name());
        let thing = |object: usize| {
            let name = &self.concepts[object].name;
            with_article(&style.map_or_else(|| name.clone(), |style| format!("{style} {name}")))
        };
        let things = match *scene {
            Scene::One { object, .. } => thing(object),
            Scene::Two { objects: [a, b], relation, .. } => format!("{} {} {}", thing(a), relation.name(), thing(b)),
        };
        let start = ["", "", "", "a picture of ", "an icon of "].choose(&mut random).expect("there are some");
        let end = colour.map(|colour| match random.random_range(0..4) {
            0 => format!(", {colour} background"),
            1 => format!(" on {colour}"),
            _ => format!(" on {} background", with_article(colour)),
        });
        format!("{start}{things}{}", end.unwrap_or_default())
    }

    /// Whether a scene shows a pair or a concept that is held out.
    pub fn is_held_out(&self, scene: &Scene) -> bool {
        let concept = |object: usize| &self.concepts[object];
        let colour = |object: usize| is_colour_held_out(concept(object), scene.colour());
        match *scene {
            Scene::One { object, .. } => concept(object).held_out || colour(object),
            Scene::Two { objects: [a, b], .. } => {
                concept(a).held_out
                    || concept(b).held_out
                    || colour(a)
                    || colour(b)
                    || is_pair_held_out(concept(a), concept(b))
            }
        }
    }

    fn draw(&self, random: &mut ChaCha8Rng) -> Scene {
        let (style, colour) = (of(&Style::ALL, random), of(&Colour::ALL, random));
        let object = of(&self.known, random);
        if !random.random_bool(self.pairs) {
            return Scene::One { object, style, colour };
        }
        let other = loop {
            let other = of(&self.known, random);
            if other != object {
                break other;
            }
        };
        Scene::Two { objects: [object, other], relation: of(&Relation::ALL, random), style, colour }
    }

    fn random(&self, stream: u64) -> ChaCha8Rng {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream);
        random
    }
}

fn of<T: Copy>(all: &[T], random: &mut ChaCha8Rng) -> T {
    *all.choose(random).expect("there are some")
}
