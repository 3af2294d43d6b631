//! What a picture shows, judged by the renderings that it is nearest to.

use t2i_core::{Error, Result};

use crate::art::Cutout;
use crate::cells::{Cells, GRID};
use crate::library::corner;
use crate::{Colour, Library, Relation, Scene, Style};

/// The sides of a left or right half, in cells.
const TALL: [usize; 2] = [GRID / 2, GRID];
/// The sides of an upper or lower half, in cells.
const WIDE: [usize; 2] = [GRID, GRID / 2];

/// Judges pictures of one size by all renderings of a [`Library`].
///
/// Pixels are averaged to 32 x 32 cells and blurred a little, so that a shift of a pixel or a soft edge costs little; a
/// rendering is as far from a picture as the mean squared difference of their cells in sRGB. Every concept takes part, in
/// every style, on the background that the picture has: the right object counts on a wrong background too.
pub struct Judge {
    size: usize,
    /// Concept by concept, style by style.
    alone: Vec<Cells<4>>,
    /// The same as one of two objects, in the left or right half.
    tall: Vec<Cells<4>>,
    /// The same in the upper or lower half.
    wide: Vec<Cells<4>>,
}

/// The nearest rendering.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The concept, by its place in the list.
    pub object: usize,
    /// Its style.
    pub style: Style,
    /// The mean squared difference of cells, with colours in [0, 1].
    pub distance: f32,
}

/// What of a scene is right in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What is seen where the scene has its objects, in the scene's order.
    pub seen: Vec<Seen>,
    /// The named colour that is nearest to the background.
    pub background: Colour,
    /// Whether every object is seen where it belongs.
    pub objects_right: bool,
    /// Whether all that is seen has the scene's style.
    pub style_right: bool,
    /// Whether the background has the scene's colour.
    pub background_right: bool,
}

impl Judge {
    /// # Errors
    /// If the library's size is not a multiple of 32.
    pub fn new(library: &Library) -> Result<Self> {
        let size = library.size();
        if !size.is_multiple_of(GRID) {
            let expected = format!("a multiple of {GRID} for a judge");
            return Err(Error::InvalidValue { field: "size", value: size.to_string(), expected });
        }
        let drawings = |number: usize| {
            let objects = 0..library.concepts().len();
            let drawings =
                objects.flat_map(move |object| Style::ALL.map(|style| library.cutout(object, style, number)));
            drawings.map(|cutout| in_the_middle(cutout, size))
        };
        let half = |sides: [usize; 2]| {
            let corner = sides.map(|side| (GRID - side) / 2);
            drawings(1).map(|cells| cells.part(corner, sides).blurred()).collect()
        };
        Ok(Self { size, alone: drawings(0).map(|cells| cells.blurred()).collect(), tall: half(TALL), wide: half(WIDE) })
    }

    /// What of `scene` is right in a picture.
    ///
    /// # Shapes
    /// - pixels: `[3, size, size]`, in [-1, 1]
    ///
    /// # Panics
    /// If there are more or fewer pixels.
    pub fn judge(&self, scene: &Scene, pixels: &[f32]) -> Verdict {
        let background = self.background(pixels);
        let seen = self.seen(scene, pixels, background);
        let background = Colour::nearest(background.map(|value| 255.0 * value));
        Verdict {
            objects_right: seen.iter().map(|seen| seen.object).eq(scene.objects()),
            style_right: seen.iter().all(|seen| seen.style == scene.style()),
            background_right: background == scene.colour(),
            background,
            seen,
        }
    }

    fn seen(&self, scene: &Scene, pixels: &[f32], background: [f32; 3]) -> Vec<Seen> {
        let area = self.size * self.size;
        let channels = |x, y| [0, 1, 2].map(|channel| (pixels[channel * area + y * self.size + x] + 1.0) / 2.0);
        let cells = Cells::mean(self.size, channels);
        match scene {
            Scene::One { .. } => vec![nearest(&self.alone, &cells.blurred(), background)],
            Scene::Two { relation, .. } => {
                let in_half = |[corner, sides]: [[usize; 2]; 2]| {
                    let looks = if sides == TALL { &self.tall } else { &self.wide };
                    nearest(looks, &cells.part(corner, sides).blurred(), background)
                };
                halves(*relation).map(in_half).to_vec()
            }
        }
    }

    /// The median of each channel along the border, in [0, 1].
    fn background(&self, pixels: &[f32]) -> [f32; 3] {
        let (size, area) = (self.size, self.size * self.size);
        assert_eq!(pixels.len(), 3 * area, "a picture of {size} x {size} pixels has {} values", 3 * area);
        let border = size / GRID;
        let inner = border..size - border;
        let outside = |place: &usize| !(inner.contains(&(place % size)) && inner.contains(&(place / size)));
        [0, 1, 2].map(|channel| {
            let mut values: Vec<_> = (0..area).filter(outside).map(|place| pixels[channel * area + place]).collect();
            let middle = values.len() / 2;
            let (_, median, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
            (*median + 1.0) / 2.0
        })
    }
}

/// The corner and the sides of the halves where the first and the second object are, in cells.
fn halves(relation: Relation) -> [[[usize; 2]; 2]; 2] {
    let (left, right) = ([[0, 0], TALL], [[GRID / 2, 0], TALL]);
    let (top, bottom) = ([[0, 0], WIDE], [[0, GRID / 2], WIDE]);
    match relation {
        Relation::LeftOf => [left, right],
        Relation::RightOf => [right, left],
        Relation::Above => [top, bottom],
        Relation::Below => [bottom, top],
    }
}

/// A drawing in the middle of a picture, which is empty elsewhere.
fn in_the_middle(cutout: &Cutout, size: usize) -> Cells<4> {
    let [left, top] = [cutout.width(), cutout.height()].map(|length| corner(size, 0.5, length));
    let inside = |place: usize, corner: usize| place.checked_sub(corner).unwrap_or(usize::MAX) as u32;
    Cells::mean(size, |x, y| {
        cutout.get_pixel_checked(inside(x, left), inside(y, top)).map_or([0.0; 4], |pixel| pixel.0)
    })
}

/// `looks` are in the order of concepts, and for each in that of [`Style::ALL`].
fn nearest(looks: &[Cells<4>], cells: &Cells<3>, background: [f32; 3]) -> Seen {
    let distances = looks.iter().map(|look| cells.distance(look, background)).enumerate();
    let (place, distance) = distances.min_by(|a, b| a.1.total_cmp(&b.1)).expect("a library has concepts");
    let styles = Style::ALL.len();
    Seen { object: place / styles, style: Style::ALL[place % styles], distance }
}
