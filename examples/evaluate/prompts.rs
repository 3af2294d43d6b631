//! What a model is asked for.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use t2i_data::{Colour, Library, Relation, Scene, Scenes, Style, is_colour_held_out, is_pair_held_out};

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As in training.
    One,
    /// On a colour that no training picture of the object has.
    OneHeldOut,
    /// Two as in training.
    Two,
    /// Two that no training picture has together.
    TwoHeldOut,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::One, Self::OneHeldOut, Self::Two, Self::TwoHeldOut];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one object",
            Self::OneHeldOut => "one object, held-out colour",
            Self::Two => "two objects",
            Self::TwoHeldOut => "two objects, held-out pair",
        }
    }
}

/// Scenes of one kind, none twice. The objects are known to the model, each by itself.
pub(crate) fn scenes(library: &Library, kind: Kind, number: usize, seed: u64) -> Vec<Scene> {
    let known: Vec<_> = (0..library.concepts().len()).filter(|i| !library.concepts()[*i].held_out).collect();
    let trained = Scenes::new(library.concepts(), 0, 0.0);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut scenes = Vec::new();
    while scenes.len() < number {
        let scene = draw(&known, kind, &mut random);
        if fits(library, &trained, kind, &scene) && !scenes.contains(&scene) {
            scenes.push(scene);
        }
    }
    scenes
}

fn draw(known: &[usize], kind: Kind, random: &mut impl Rng) -> Scene {
    let mut object = || *known.choose(random).expect("there are concepts");
    let objects = [object(), object()];
    let style = *Style::ALL.choose(random).expect("there are styles");
    let colour = *Colour::ALL.choose(random).expect("there are colours");
    match kind {
        Kind::One | Kind::OneHeldOut => Scene::One { object: objects[0], style, colour },
        Kind::Two | Kind::TwoHeldOut => {
            let relation = *Relation::ALL.choose(random).expect("there are relations");
            Scene::Two { objects, relation, style, colour }
        }
    }
}

fn fits(library: &Library, trained: &Scenes, kind: Kind, scene: &Scene) -> bool {
    let concept = |object: usize| &library.concepts()[object];
    match (kind, *scene) {
        (Kind::One, _) => !trained.is_held_out(scene),
        (Kind::OneHeldOut, Scene::One { object, colour, .. }) => is_colour_held_out(concept(object), colour),
        (Kind::Two, Scene::Two { objects: [a, b], .. }) => a != b && !trained.is_held_out(scene),
        (Kind::TwoHeldOut, Scene::Two { objects: [a, b], colour, .. }) => {
            let colours = is_colour_held_out(concept(a), colour) || is_colour_held_out(concept(b), colour);
            a != b && is_pair_held_out(concept(a), concept(b)) && !colours
        }
        _ => false,
    }
}
