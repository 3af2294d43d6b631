//! 3x3 convolution in tiles of 4x4 outputs, with a quarter of the products.
//!
//! Lavin and Gray 2015, "Fast algorithms for convolutional neural networks", <https://arxiv.org/abs/1509.09308>,
//! section 4.3, F(4x4, 3x3): each tile of the picture and each kernel is transformed, 36 matrix products take the place
//! of the sums, and the tiles of the result are transformed back.

mod grid;
mod input;
mod output;
mod points;

use rayon::prelude::*;

use self::{grid::Grid, input::Input, output::Output};
use crate::{
    matmul::{Block, Start, Tile},
    scratch::{aligned, with_scratch},
};

/// Points of a transformed tile, 6x6.
const POINTS: usize = 36;
/// Channels that are summed between two stores.
const CHANNELS: usize = 640;
/// Values of transformed input that are kept at a time, for all threads.
const INPUT_VALUES: usize = 1 << 20;
/// Tiles of transformed output that a thread keeps at a time.
const OUTPUT_TILES: usize = 64;
/// Most panels of output channels that a thread computes at a time.
const MOST_PANELS: usize = 7;

/// The weight of a 3x3 convolution with stride 1 and padding 1, transformed once for many pictures.
///
/// It takes four times the memory of the plain weight.
pub struct Winograd {
    /// `[point, panel of outputs, c, tile.rows]`, with some values to spare.
    values: Vec<f32>,
    skipped: usize,
    outputs: usize,
    inputs: usize,
}

impl Winograd {
    /// Transforms a weight `[outputs, inputs, 3, 3]`.
    ///
    /// # Panics
    ///
    /// If there is not that number of values, or none.
    pub fn new(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        assert_eq!(weight.len(), outputs * inputs * 9, "a weight [{outputs}, {inputs}, 3, 3]");
        assert!(!weight.is_empty(), "a convolution without channels");
        let rows = Tile::here().rows;
        let len = outputs.next_multiple_of(rows) * inputs;
        let mut values = vec![0.0; POINTS * len + 16];
        let skipped = values.len() - aligned(&mut values).len();
        let mut points: Vec<_> = values[skipped..].chunks_mut(len).take(POINTS).collect();
        for (i, kernel) in weight.as_chunks::<9>().0.iter().enumerate() {
            let (o, c) = (i / inputs, i % inputs);
            let at = (o / rows * inputs + c) * rows + o % rows;
            points.iter_mut().zip(points::kernel(kernel)).for_each(|(point, u)| point[at] = u);
        }
        Self { values, skipped, outputs, inputs }
    }

    /// Output channels.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Input channels.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The convolution of a batch of pictures.
    ///
    /// A value that is not finite makes all of its tile of 4x4 NaN.
    ///
    /// # Shapes
    ///
    /// `x [batch, inputs, height, width]`, `bias [outputs]`, `out [batch, outputs, height, width]`.
    ///
    /// # Panics
    ///
    /// If a length does not fit the others, or if `x` is empty.
    pub fn forward(&self, x: &[f32], [height, width]: [usize; 2], bias: Option<&[f32]>, out: &mut [f32]) {
        let size = self.inputs * height * width;
        assert!(size > 0 && !x.is_empty(), "a convolution of nothing");
        assert!(x.len().is_multiple_of(size), "{} values are no pictures [{}, {height}, {width}]", x.len(), self.inputs);
        let batch = x.len() / size;
        assert_eq!(out.len(), batch * self.outputs * height * width, "the result of {batch} pictures");
        assert!(bias.is_none_or(|bias| bias.len() == self.outputs), "the bias has {} values", self.outputs);
        let grid = Grid::new(batch, height, width);
        let unit = Tile::here().cols;
        let most = (INPUT_VALUES / (POINTS * self.inputs)).next_multiple_of(unit);
        let parts = grid.tiles().div_ceil(most);
        let tiles = grid.tiles().div_ceil(parts).next_multiple_of(unit);
        with_scratch(POINTS * self.inputs * tiles, |v| {
            for first in (0..grid.tiles()).step_by(tiles) {
                let count = tiles.min(grid.tiles() - first);
                let v = &mut v[..POINTS * self.inputs * count.next_multiple_of(unit)];
                self.transform_input(x, &grid, first, v);
                self.multiply(v, &grid, first..first + count, bias, out);
            }
        });
    }

    /// `v [panel of tiles, chunk of channels, point, channel, tile.cols]`.
    fn transform_input(&self, x: &[f32], grid: &Grid, first: usize, v: &mut [f32]) {
        let unit = Tile::here().cols;
        v.par_chunks_mut(POINTS * self.inputs * unit).enumerate().for_each(|(i, v)| {
            let places = grid.places(first + i * unit, unit);
            v.par_chunks_mut(POINTS * CHANNELS * unit).enumerate().for_each(|(j, v)| {
                Input { x, inputs: self.inputs, grid, places: &places, first: j * CHANNELS, v }.run();
            });
        });
    }

    /// All output channels of some tiles.
    fn multiply(
        &self,
        v: &[f32],
        grid: &Grid,
        tiles: std::ops::Range<usize>,
        bias: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let rows = share_panels(self.outputs.div_ceil(Tile::here().rows)) * Tile::here().rows;
        let mut tasks: Vec<Vec<&mut [f32]>> = (0..self.outputs.div_ceil(rows)).map(|_| Vec::new()).collect();
        for (i, plane) in out.chunks_mut(grid.height * grid.width).enumerate() {
            tasks[i % self.outputs / rows].push(plane);
        }
        tasks.into_par_iter().enumerate().for_each(|(i, mut planes)| {
            self.multiply_rows(v, grid, tiles.clone(), i * rows, bias, &mut planes);
        });
    }

    /// Some output channels of some tiles; `planes [batch, rows]`.
    fn multiply_rows(
        &self,
        v: &[f32],
        grid: &Grid,
        tiles: std::ops::Range<usize>,
        row: usize,
        bias: Option<&[f32]>,
        planes: &mut [&mut [f32]],
    ) {
        let rows = planes.len() / grid.batch;
        with_scratch(POINTS * rows * OUTPUT_TILES, |m| {
            for from in (0..tiles.len()).step_by(OUTPUT_TILES) {
                let valid = OUTPUT_TILES.min(tiles.len() - from);
                let count = valid.next_multiple_of(Tile::here().lanes);
                let v = &v[POINTS * self.inputs * from..];
                for (point, m) in m.chunks_mut(rows * OUTPUT_TILES).enumerate() {
                    self.product(v, point, row, [rows, count], m);
                }
                let places = grid.places(tiles.start + from, valid);
                Output { m, rows, step: OUTPUT_TILES, places: &places, grid, bias: bias.map(|bias| &bias[row..]), planes }
                    .run();
            }
        });
    }

    /// The product at one point: `m [rows, OUTPUT_TILES]`.
    fn product(&self, v: &[f32], point: usize, row: usize, [rows, cols]: [usize; 2], m: &mut [f32]) {
        let tile = Tile::here();
        let u = &self.values[self.skipped + point * self.outputs.next_multiple_of(tile.rows) * self.inputs..];
        for first in (0..self.inputs).step_by(CHANNELS) {
            let k = CHANNELS.min(self.inputs - first);
            Block {
                a: &u[row * self.inputs + first * tile.rows..],
                a_step: self.inputs * tile.rows,
                b: &v[(POINTS * first + point * k) * tile.cols..],
                b_step: POINTS * self.inputs * tile.cols,
                k,
                c: m,
                c_step: OUTPUT_TILES,
                rows,
                cols,
                start: if first == 0 { Start::Zero } else { Start::Result },
            }
            .run();
        }
    }
}

impl std::fmt::Debug for Winograd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Winograd({} -> {})", self.inputs, self.outputs)
    }
}

/// Panels for a task, so that all threads end at about the same time.
fn share_panels(panels: usize) -> usize {
    let threads = rayon::current_num_threads();
    let time = |share: usize| panels.div_ceil(share).div_ceil(threads) * share;
    (2..=MOST_PANELS).rev().min_by_key(|share| time(*share)).unwrap_or(1)
}
