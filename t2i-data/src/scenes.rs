//! An endless stream of training scenes, each a function of its number.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use t2i_core::{Error, Result};

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
    /// Scenes of all `concepts` that are not held out. A share `pairs` is drawn with two objects; of those more are drawn
    /// anew because they are held out, so that of 30 % about 27 % are left.
    ///
    /// # Errors
    /// If `pairs` is not between 0 and 1, or the concepts are too few for such scenes.
    pub fn new(concepts: &[Concept], seed: u64, pairs: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&pairs) {
            let expected = "between 0 and 1".to_owned();
            return Err(Error::InvalidValue { field: "pairs", value: pairs.to_string(), expected });
        }
        let known = (0..concepts.len()).filter(|i| !concepts[*i].held_out).collect();
        let scenes = Self { concepts: concepts.to_vec(), known, seed, pairs };
        match scenes.can_be_drawn() {
            true => Ok(scenes),
            false => Err(Error::InvalidValue {
                field: "concepts",
                value: format!("{} known ones", scenes.known.len()),
                expected: "enough that some combinations of them are not held out".to_owned(),
            }),
        }
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

    /// Whether every draw comes to an end: whichever number of objects is drawn, some scene has it that is not held out.
    fn can_be_drawn(&self) -> bool {
        let (style, relation) = (Style::ALL[0], Relation::ALL[0]);
        let is_free = |scene: &dyn Fn(Colour) -> Scene| Colour::ALL.iter().any(|c| !self.is_held_out(&scene(*c)));
        let one = |a: &usize| is_free(&|colour| Scene::One { object: *a, style, colour });
        let two = |a: usize, b: usize| is_free(&|colour| Scene::Two { objects: [a, b], relation, style, colour });
        let pair = |a: &usize| self.known.iter().any(|b| a != b && two(*a, *b));
        self.known.iter().any(one) && (self.pairs == 0.0 || self.known.iter().any(pair))
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::concepts;
    use std::collections::HashSet;

    fn scenes(seed: u64, pairs: f64) -> Scenes {
        Scenes::new(&concepts().unwrap(), seed, pairs).unwrap()
    }

    #[test]
    fn nothing_held_out_is_drawn_and_all_else_is() {
        let (concepts, scenes) = (concepts().unwrap(), scenes(7, 0.4));
        let (mut objects, mut looks, mut relations) = (HashSet::new(), HashSet::new(), HashSet::new());
        for index in 0..10_000 {
            let scene = scenes.scene(index);
            for object in scene.objects() {
                assert!(!concepts[object].held_out, "{scene:?}");
                assert!(!is_colour_held_out(&concepts[object], scene.colour()), "{scene:?}");
            }
            if let Scene::Two { objects: [a, b], relation, .. } = scene {
                assert!(a != b && !is_pair_held_out(&concepts[a], &concepts[b]), "{scene:?}");
                relations.insert(relation);
            }
            objects.extend(scene.objects());
            looks.insert((scene.style(), scene.colour()));
        }
        assert_eq!(objects.len(), concepts.iter().filter(|concept| !concept.held_out).count());
        assert_eq!(looks.len(), Style::ALL.len() * Colour::ALL.len());
        assert_eq!(relations.len(), Relation::ALL.len());
    }

    #[test]
    fn as_many_have_two_objects_as_were_asked_for_and_are_not_held_out() {
        for pairs in [0.0, 0.3, 1.0] {
            let scenes = scenes(0, pairs);
            let two =
                (0..3000).filter(|index| matches!(scenes.scene(*index), Scene::Two { .. })).count() as f64 / 3000.0;
            // One chance in 12 to be held out for one object on a colour, and three for two.
            let (one_kept, two_kept) = ((1.0 - pairs) * 0.92, pairs * 0.92f64.powi(3));
            let expected = two_kept / (one_kept + two_kept);
            assert!((two - expected).abs() < 0.03, "{two} instead of {expected} for {pairs}");
        }
    }

    #[test]
    fn scenes_that_can_never_be_drawn_are_refused() {
        let concepts = concepts().unwrap();
        for pairs in [-0.1, 1.1, f64::NAN] {
            let error = Scenes::new(&concepts, 0, pairs).unwrap_err();
            assert!(matches!(error, Error::InvalidValue { field: "pairs", .. }), "{error}");
        }
        for (concepts, pairs) in [(&concepts[..0], 0.0), (&concepts[..1], 0.5)] {
            let error = Scenes::new(concepts, 0, pairs).unwrap_err();
            assert!(matches!(error, Error::InvalidValue { field: "concepts", .. }), "{error}");
        }
        assert!(Scenes::new(&concepts[..1], 0, 0.0).is_ok());
    }

    #[test]
    fn a_scene_and_its_caption_are_functions_of_their_number() {
        let (first, again, other) = (scenes(1, 0.5), scenes(1, 0.5), scenes(2, 0.5));
        let said = |scenes: &Scenes, index: u64| scenes.caption(&scenes.scene(index), index);
        let forward: Vec<_> = (0..100).map(|index| (first.scene(index), said(&first, index))).collect();
        let backward: Vec<_> = (0..100).rev().map(|index| (again.scene(index), said(&again, index))).collect();
        assert!(forward.iter().eq(backward.iter().rev()));
        assert!(forward.iter().zip(0..).any(|((scene, _), index)| *scene != other.scene(index)));
    }

    #[test]
    fn captions_name_every_object_and_leave_out_words() {
        let (concepts, scenes) = (concepts().unwrap(), scenes(3, 0.5));
        let (mut without_style, mut without_colour) = (0, 0);
        for index in 0..2000 {
            let scene = scenes.scene(index);
            let caption = scenes.caption(&scene, index);
            assert!(scene.objects().all(|object| caption.contains(&concepts[object].name)), "{caption}");
            assert!(!caption.contains("  ") && caption.trim() == caption, "{caption}");
            without_style += usize::from(!caption.contains(scene.style().name()));
            without_colour += usize::from(!caption.contains(scene.colour().name()));
        }
        assert!([without_style, without_colour].into_iter().all(|count| (120..280).contains(&count)));
    }
}
