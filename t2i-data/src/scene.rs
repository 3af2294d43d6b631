//! What one picture shows, in data and in words.

use serde::{Deserialize, Serialize};

use crate::{Colour, Relation, Style};

/// What one picture shows. Objects are places in the list of [`concepts`](crate::concepts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scene {
    /// One object in the middle.
    One {
        /// What it is.
        object: usize,
        /// How it is drawn.
        style: Style,
        /// What is behind it.
        colour: Colour,
    },
    /// Two smaller objects.
    Two {
        /// The object that the caption names first, and the other.
        objects: [usize; 2],
        /// Where the first is, seen from the second.
        relation: Relation,
        /// How both are drawn.
        style: Style,
        /// What is behind them.
        colour: Colour,
    },
}

impl Scene {
    /// The colour of the background.
    pub fn colour(&self) -> Colour {
        match self {
            Self::One { colour, .. } | Self::Two { colour, .. } => *colour,
        }
    }

    /// The style of the objects.
    pub fn style(&self) -> Style {
        match self {
            Self::One { style, .. } | Self::Two { style, .. } => *style,
        }
    }

    /// The objects, in the order of the caption.
    pub fn objects(&self) -> impl Iterator<Item = usize> {
        let (first, second) = match *self {
            Self::One { object, .. } => (object, None),
            Self::Two { objects: [first, second], .. } => (first, Some(second)),
        };
        std::iter::once(first).chain(second)
    }

    /// The full caption, such as "a glossy apple on a yellow background" or "a flat frog to the left of a flat pizza on a
    /// blue background". `name` says what the concepts are called.
    pub fn caption<'a>(&self, name: impl Fn(usize) -> &'a str) -> String {
        let style = self.style().name();
        let thing = |object: usize| with_article(&format!("{style} {}", name(object)));
        let ground = with_article(&format!("{} background", self.colour().name()));
        match self {
            Self::One { object, .. } => format!("{} on {ground}", thing(*object)),
            Self::Two { objects: [first, second], relation, .. } => {
                format!("{} {} {} on {ground}", thing(*first), relation.name(), thing(*second))
            }
        }
    }
}

/// Names that take no article although they are no plurals.
const UNCOUNTED: [&str; 23] = [
    "bacon",
    "bowling",
    "bread",
    "broccoli",
    "butter",
    "champagne",
    "cheese",
    "coffee",
    "coral",
    "corn",
    "dna",
    "fire",
    "garlic",
    "luggage",
    "milk",
    "money",
    "paella",
    "popcorn",
    "soap",
    "soup",
    "spaghetti",
    "sushi",
    "yarn",
];

/// Beginnings that sound other than they are written: whether with a vowel.
const SOUNDS: [(&str, bool); 3] = [("hour", true), ("ufo", false), ("uni", false)];

/// "a" or "an" before a noun phrase, and neither before a plural or a substance.
pub(crate) fn with_article(phrase: &str) -> String {
    let noun = phrase.rsplit(' ').next().unwrap_or_default();
    let plural = noun.ends_with('s') && !noun.ends_with("ss") && !noun.ends_with("us");
    match phrase {
        _ if plural || UNCOUNTED.contains(&noun) => phrase.to_owned(),
        _ if has_vowel_sound(phrase) => format!("an {phrase}"),
        _ => format!("a {phrase}"),
    }
}

fn has_vowel_sound(phrase: &str) -> bool {
    let exception = SOUNDS.into_iter().find(|(start, _)| phrase.starts_with(start));
    exception.map_or_else(|| phrase.starts_with(['a', 'e', 'i', 'o', 'u']), |(_, vowel)| vowel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_are_english() {
        let cases = [
            ("glossy apple", "a glossy apple"),
            ("apple", "an apple"),
            ("3d fire engine", "a 3d fire engine"),
            ("flat socks", "flat socks"),
            ("compass", "a compass"),
            ("cactus", "a cactus"),
            ("cartoon bacon", "cartoon bacon"),
            ("flying money", "flying money"),
            ("unicorn", "a unicorn"),
            ("umbrella", "an umbrella"),
            ("ufo", "a ufo"),
            ("hourglass", "an hourglass"),
        ];
        cases.into_iter().for_each(|(phrase, expected)| assert_eq!(with_article(phrase), expected));
    }

    #[test]
    fn captions_say_everything() {
        let name = |object: usize| ["frog", "pizza"][object];
        let one = Scene::One { object: 0, style: Style::Glossy, colour: Colour::Orange };
        assert_eq!(one.caption(name), "a glossy frog on an orange background");
        let (relation, style, colour) = (Relation::LeftOf, Style::Flat, Colour::Blue);
        let two = Scene::Two { objects: [0, 1], relation, style, colour };
        assert_eq!(two.caption(name), "a flat frog to the left of a flat pizza on a blue background");
    }
}
