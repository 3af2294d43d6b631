//! The words of captions beside the objects: styles, colours, relations.

use serde::{Deserialize, Serialize};

/// How an object is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Style {
    /// Noto Emoji.
    Cartoon,
    /// Fluent Emoji with gradients.
    Glossy,
    /// Fluent Emoji in flat colours.
    Flat,
    /// Fluent Emoji in three dimensions.
    Solid,
}

impl Style {
    /// Every style.
    pub const ALL: [Self; 4] = [Self::Cartoon, Self::Glossy, Self::Flat, Self::Solid];

    /// Its word in a caption.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cartoon => "cartoon",
            Self::Glossy => "glossy",
            Self::Flat => "flat",
            Self::Solid => "3d",
        }
    }
}

/// The colour of a background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is its own name")]
pub enum Colour {
    Red,
    Orange,
    Yellow,
    Green,
    Blue,
    Purple,
    Pink,
    Brown,
    Grey,
    White,
    Black,
}

impl Colour {
    /// Every colour.
    pub const ALL: [Self; 11] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::Brown,
        Self::Grey,
        Self::White,
        Self::Black,
    ];

    /// Its word in a caption.
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::Brown => "brown",
            Self::Grey => "grey",
            Self::White => "white",
            Self::Black => "black",
        }
    }

    /// Red, green and blue, in sRGB. Any two are at least 60 apart.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [214, 48, 49],
            Self::Orange => [245, 145, 40],
            Self::Yellow => [250, 220, 70],
            Self::Green => [70, 165, 85],
            Self::Blue => [55, 105, 220],
            Self::Purple => [140, 75, 190],
            Self::Pink => [245, 155, 195],
            Self::Brown => [125, 85, 60],
            Self::Grey => [150, 150, 150],
            Self::White => [250, 250, 250],
            Self::Black => [25, 25, 25],
        }
    }

    /// The colour that is nearest to these red, green and blue values.
    pub fn nearest(rgb: [f32; 3]) -> Self {
        let distance =
            |colour: &Self| -> f32 { colour.rgb().iter().zip(rgb).map(|(a, b)| (f32::from(*a) - b).powi(2)).sum() };
        let nearest = Self::ALL.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.expect("there are colours")
    }
}

/// Where the first of two objects is, seen from the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is its own name")]
pub enum Relation {
    LeftOf,
    RightOf,
    Above,
    Below,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 4] = [Self::LeftOf, Self::RightOf, Self::Above, Self::Below];

    /// Its words in a caption.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeftOf => "to the left of",
            Self::RightOf => "to the right of",
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// The centres (x, y) of the first and the second object, as shares of the picture's width and height.
    pub fn centres(self) -> [(f32, f32); 2] {
        let (left, right, top, bottom) = ((0.25, 0.5), (0.75, 0.5), (0.5, 0.25), (0.5, 0.75));
        match self {
            Self::LeftOf => [left, right],
            Self::RightOf => [right, left],
            Self::Above => [top, bottom],
            Self::Below => [bottom, top],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_well_apart_and_nearest_to_themselves() {
        for a in Colour::ALL {
            assert_eq!(Colour::nearest(a.rgb().map(f32::from)), a);
            for b in Colour::ALL.into_iter().filter(|b| *b != a) {
                let squares = a.rgb().into_iter().zip(b.rgb()).map(|(a, b)| (f32::from(a) - f32::from(b)).powi(2));
                assert!(squares.sum::<f32>().sqrt() >= 60.0, "{a:?} {b:?}");
            }
        }
    }
}
