//! 3x3 convolution in tiles of 4x4 outputs, with a quarter of the products.
//!
//! Lavin and Gray 2015, "Fast algorithms for convolutional neural networks", <https://arxiv.org/abs/1509.09308>,
//! section 4.3, F(4x4, 3x3): each tile of the picture and each kernel is transformed, 36 matrix products take the place
//! of the sums, and the tiles of the result are transformed back.
//!
//! The transformed kernels would take four times the memory of the plain ones, and reading them would take longer than
//! to transform the plain ones again, which is therefore done each time.

mod gradient;
mod grid;
mod input;
mod kernel;
mod output;
mod points;
mod product;
mod transposed;

use rayon::prelude::*;

pub(super) use self::gradient::WeightGradient;
use self::{
    grid::Grid,
    input::{Input, Pictures},
    product::Product,
};
use crate::{
    Number,
    matmul::{Matrix, Tile},
    scratch::with_scratch,
};

/// Points of a transformed tile, 6x6.
const POINTS: usize = 36;
/// Values between two points. Without them the points of a tile would lie multiples of 4 KiB apart, for most numbers of
/// channels, and push each other out of the first cache.
const GAP: usize = 16;
/// Most channels that are summed between two stores.
const MOST_CHANNELS: usize = 320;
/// Values of transformed input that are kept at a time, for all threads.
const INPUT_VALUES: usize = 2 << 20;

/// A 3x3 convolution with stride 1 and padding 1.
pub(super) struct Winograd<'a, T> {
    /// `[outputs, inputs * 9]`.
    pub(super) weight: Matrix<'a, T>,
    pub(super) bias: Option<&'a [f32]>,
    /// `[batch, inputs, height, width]`.
    pub(super) x: &'a [f32],
    pub(super) inputs: usize,
    pub(super) picture: [usize; 2],
}

impl<T: Number> Winograd<'_, T> {
    /// Whether there are enough tiles to fill vectors with, and to transform the kernels for.
    pub(super) fn is_worth_it(batch: usize, [height, width]: [usize; 2]) -> bool {
        let lanes = Tile::here().lanes;
        let tiles = Grid { batch, height, width }.tiles().next_multiple_of(lanes);
        // A transform of kernels takes about as long as the products of 20 tiles, in vectors of 16.
        POINTS * (tiles + 5 * lanes / 4) < 9 * batch * (height * width).next_multiple_of(lanes)
    }

    /// Writes the result, `out [batch, outputs, height, width]`.
    pub(super) fn forward(&self, out: &mut [f32]) {
        let [height, width] = self.picture;
        let grid = Grid { batch: self.x.len() / (self.inputs * height * width), height, width };
        let unit = Tile::here().cols;
        let most = (INPUT_VALUES / (POINTS * self.inputs)).next_multiple_of(unit);
        let parts = grid.tiles().div_ceil(most);
        let tiles = grid.tiles().div_ceil(parts).next_multiple_of(unit);
        with_scratch(self.input_panel() * tiles / unit, |v| {
            for first in (0..grid.tiles()).step_by(tiles) {
                let count = tiles.min(grid.tiles() - first);
                let v = &mut v[..self.input_panel() * count.div_ceil(unit)];
                self.transform_input(&grid, first, v);
                Product { conv: self, v, grid: &grid, tiles: first..first + count }.run(out);
            }
        });
    }

    /// Channels of a chunk: all chunks have about as many.
    fn chunk(&self) -> usize {
        self.inputs.div_ceil(self.inputs.div_ceil(MOST_CHANNELS))
    }

    /// Values of a panel of transformed input.
    fn input_panel(&self) -> usize {
        let chunk = self.chunk();
        self.inputs / chunk * input_chunk(chunk) + input_chunk(self.inputs % chunk)
    }

    /// `v [panel of tiles, chunk of channels, point, channel, tile.cols]`.
    fn transform_input(&self, grid: &Grid, first: usize, v: &mut [f32]) {
        let (unit, chunk) = (Tile::here().cols, self.chunk());
        let pictures = Pictures { x: self.x, channels: self.inputs, grid };
        v.par_chunks_mut(self.input_panel()).enumerate().for_each(|(i, v)| {
            let places = grid.places(first + i * unit, unit);
            v.par_chunks_mut(input_chunk(chunk)).enumerate().for_each(|(j, v)| {
                let channels = j * chunk..self.inputs.min((j + 1) * chunk);
                Input { pictures, places: &places, channels, v }.run();
            });
        });
    }
}

/// Values of a panel of transformed input, for some channels.
fn input_chunk(channels: usize) -> usize {
    if channels == 0 { 0 } else { POINTS * (channels * Tile::here().cols + GAP) }
}
