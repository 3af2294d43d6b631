//! What a picture shows, told by the nearest of all renderings.

use crate::{Colour, Library, Relation, Scene, Style};

/// A part of a picture, in cells of [`CELL`] pixels: columns and rows from, to.
type Region = [usize; 4];

/// Pictures are compared in cells of this many pixels a side, so that a shift by a pixel is no other object.
const CELL: usize = 2;

/// Tells what pictures show, by comparing them with every rendering of a library.
///
/// The distance is the mean squared difference of the cells' mean colours.
pub struct Judge<'a> {
    library: &'a Library,
    cells: usize,
}

impl<'a> Judge<'a> {
    /// Judges pictures of the library's size.
    pub fn new(library: &'a Library) -> Self {
        Self { library, cells: library.size() / CELL }
    }

    /// The one object that pixels show on a background of `colour`, whatever its style: a place in the library's concepts.
    ///
    /// # Shapes
    /// - pixels: in [-1, 1], `[3, size, size]`
    pub fn object(&self, pixels: &[f32], colour: Colour) -> usize {
        let scene = |object, style| Scene::One { object, style, colour };
        self.nearest(pixels, [0, self.cells, 0, self.cells], scene)
    }

    /// The first and the second of two objects that pixels show at the places of `relation`.
    ///
    /// # Shapes
    /// As [`object`](Self::object).
    pub fn objects(&self, pixels: &[f32], relation: Relation, colour: Colour) -> [usize; 2] {
        let scene = |object, style| Scene::Two { objects: [object; 2], relation, style, colour };
        relation.centres().map(|centre| self.nearest(pixels, self.half(centre), scene))
    }

    /// The colour of the background: the nearest to the median of the pixels at the border.
    ///
    /// # Shapes
    /// As [`object`](Self::object).
    pub fn background(&self, pixels: &[f32]) -> Colour {
        let (size, area) = (self.library.size(), self.library.size().pow(2));
        let is_border = |place: usize| {
            let (x, y) = (place % size, place / size);
            x.min(y).min(size - 1 - x).min(size - 1 - y) == 0
        };
        Colour::nearest([0, 1, 2].map(|channel| {
            let channel = &pixels[channel * area..][..area];
            let mut border: Vec<_> = (0..area).filter(|place| is_border(*place)).map(|place| channel[place]).collect();
            border.sort_by(f32::total_cmp);
            (border[border.len() / 2] + 1.0) * 127.5
        }))
    }

    fn half(&self, (x, y): (f32, f32)) -> Region {
        let along = |centre: f32| match centre {
            centre if centre < 0.5 => [0, self.cells / 2],
            centre if centre > 0.5 => [self.cells / 2, self.cells],
            _ => [0, self.cells],
        };
        let ([left, right], [top, bottom]) = (along(x), along(y));
        [left, right, top, bottom]
    }

    /// The object of the scene that is nearest within a region, over all objects and styles.
    fn nearest(&self, pixels: &[f32], region: Region, scene: impl Fn(usize, Style) -> Scene) -> usize {
        let seen = self.cells_of(pixels);
        let distance = |object: usize| {
            let of = |style| self.distance(&seen, &self.cells_of(&self.library.render(&scene(object, style))), region);
            Style::ALL.into_iter().map(of).fold(f32::INFINITY, f32::min)
        };
        let distances = (0..self.library.concepts().len()).map(|object| (object, distance(object)));
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(object, _)| object)
    }

    fn distance(&self, a: &[f32], b: &[f32], [left, right, top, bottom]: Region) -> f32 {
        let rows = (0..3).flat_map(|channel| (top..bottom).map(move |row| channel * self.cells + row));
        rows.map(|row| {
            let line = row * self.cells + left..row * self.cells + right;
            a[line.clone()].iter().zip(&b[line]).map(|(a, b)| (a - b).powi(2)).sum::<f32>()
        })
        .sum()
    }

    /// The mean colours of the cells. `[3, cells, cells]`
    fn cells_of(&self, pixels: &[f32]) -> Vec<f32> {
        let (size, cells) = (self.library.size(), self.cells);
        let mut means = vec![0.0; 3 * cells * cells];
        for channel in 0..3 {
            for y in 0..cells * CELL {
                for x in 0..cells * CELL {
                    let mean = &mut means[(channel * cells + y / CELL) * cells + x / CELL];
                    *mean += pixels[(channel * size + y) * size + x] / (CELL * CELL) as f32;
                }
            }
        }
        means
    }
}
