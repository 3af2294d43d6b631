//! 3x3 convolution in tiles of 4x4 outputs, with a quarter of the products.
//!
//! Lavin and Gray 2015, "Fast algorithms for convolutional neural networks", <https://arxiv.org/abs/1509.09308>,
//! section 4.3, F(4x4, 3x3): each tile of the picture and each kernel is transformed, 36 matrix products take the place
//! of the sums, and the tiles of the result are transformed back.
//!
//! The transformed kernels take four times the memory of the plain ones. [`ByTiles`] transforms all of them once and reads
//! them for some tiles after the others; [`ByRows`], for few tiles, has each thread transform those that it needs, which stay
//! in its second cache.

mod by_rows;
mod by_tiles;
mod chunk;
mod gradient;
mod grid;
mod input;
mod kernel;
mod output;
mod points;
mod products;
mod transposed;

pub(super) use self::gradient::WeightGradient;
use self::{
    by_rows::ByRows,
    by_tiles::ByTiles,
    chunk::Chunk,
    grid::Grid,
    input::{Input, Pictures},
    kernel::Kernels,
};
use crate::{Number, matmul::Tile};

/// Points of a transformed tile, 6x6.
const POINTS: usize = 36;
/// Values between two points. Without them the points of a tile would lie multiples of 4 KiB apart, for most numbers of
/// channels, and push each other out of the first cache.
const GAP: usize = 16;

/// A 3x3 convolution with stride 1 and padding 1.
pub(super) struct Winograd<'a, T> {
    /// `[outputs, inputs, 3, 3]`.
    pub(super) weight: &'a [T],
    pub(super) bias: Option<&'a [f32]>,
    /// `[batch, inputs, height, width]`.
    pub(super) x: &'a [f32],
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) picture: [usize; 2],
}

impl<T: Number> Winograd<'_, T> {
    /// Whether there are enough tiles to fill vectors with, and to transform the kernels for.
    pub(super) fn is_worth_it(batch: usize, [height, width]: [usize; 2]) -> bool {
        let lanes = Tile::high().lanes;
        let tiles = Grid { batch, height, width }.tiles().next_multiple_of(lanes);
        // A transform of kernels takes about as long as the products of 20 tiles, in vectors of 16.
        POINTS * (tiles + 5 * lanes / 4) < 9 * batch * (height * width).next_multiple_of(lanes)
    }

    /// Writes the result, `out [batch, outputs, height, width]`.
    pub(super) fn forward(&self, out: &mut [f32]) {
        let [height, width] = self.picture;
        let grid = Grid { batch: self.x.len() / (self.inputs * height * width), height, width };
        if grid.tiles() >= by_tiles::LEAST_TILES {
            ByTiles { conv: self, grid }.run(out);
        } else {
            ByRows { conv: self, grid }.run(out);
        }
    }

    /// The kernels of a panel of outputs, from `row` on, for some channels: for each point `u [line, row, channel]`.
    fn transform_kernels(&self, row: usize, chunk: &Chunk, mut u: Vec<&mut [f32]>) {
        let channels = &chunk.channels;
        for (i, row) in (row..self.outputs).take(Tile::high().rows).enumerate() {
            let weight = &self.weight[9 * (row * self.inputs + channels.start)..][..9 * channels.len()];
            let next = weight.as_ptr().wrapping_add(9 * self.inputs);
            Kernels { weight, u: &mut u, next, row: i }.run();
        }
    }

    /// The tiles from `first` on, as many as a panel has, for some channels: `v [point, channel, tile.cols]`.
    fn transform_input(&self, grid: &Grid, first: usize, chunk: &Chunk, v: &mut [f32]) {
        let places = grid.places(first, Tile::high().cols);
        let pictures = Pictures { x: self.x, channels: self.inputs, grid };
        Input { pictures, places: &places, channels: chunk.channels.clone(), v }.run();
    }
}
