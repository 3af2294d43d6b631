//! 3x3 convolution in tiles of 4x4 outputs, with a quarter of the products.
//!
//! Lavin and Gray 2015, "Fast algorithms for convolutional neural networks", <https://arxiv.org/abs/1509.09308>,
//! section 4.3, F(4x4, 3x3): each tile of the picture and each kernel is transformed, 36 matrix products take the place
//! of the sums, and the tiles of the result are transformed back.
//!
//! The transformed kernels would take four times the memory of the plain ones, and reading them would take longer than
//! to transform the plain ones again, which is therefore done each time.

mod grid;
mod input;
mod kernel;
mod output;
mod points;

use std::ops::Range;

use rayon::prelude::*;

use self::{grid::Grid, input::Input, kernel::Kernels, output::Output};
use crate::{
    matmul::{Block, PackedLeft, Start, Tile},
    scratch::with_scratch,
};

/// Points of a transformed tile, 6x6.
const POINTS: usize = 36;
/// Values between two points. Without them the points of a tile would lie multiples of 4 KiB apart, for most numbers of
/// channels, and push each other out of the first cache.
const GAP: usize = 16;
/// Channels that are summed between two stores.
const CHANNELS: usize = 640;
/// Values of transformed input that are kept at a time, for all threads.
const INPUT_VALUES: usize = 2 << 20;
/// Tiles of transformed output that a thread keeps at a time.
const OUTPUT_TILES: usize = 64;
/// Values of transformed kernels that a thread keeps at a time.
const KERNEL_VALUES: usize = 1 << 19;
/// Most panels of output channels that a thread computes at a time.
const MOST_PANELS: usize = 7;

/// A 3x3 convolution with stride 1 and padding 1.
pub(super) struct Winograd<'a> {
    /// `[outputs, inputs * 9]`.
    pub(super) weight: &'a PackedLeft,
    pub(super) bias: Option<&'a [f32]>,
    /// `[batch, inputs, height, width]`.
    pub(super) x: &'a [f32],
    pub(super) inputs: usize,
    pub(super) picture: [usize; 2],
}

impl Winograd<'_> {
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

    /// Values of a panel of transformed input.
    fn input_panel(&self) -> usize {
        self.inputs / CHANNELS * input_chunk(CHANNELS) + input_chunk(self.inputs % CHANNELS)
    }

    /// `v [panel of tiles, chunk of channels, point, channel, tile.cols]`.
    fn transform_input(&self, grid: &Grid, first: usize, v: &mut [f32]) {
        let unit = Tile::here().cols;
        v.par_chunks_mut(self.input_panel()).enumerate().for_each(|(i, v)| {
            let places = grid.places(first + i * unit, unit);
            v.par_chunks_mut(input_chunk(CHANNELS)).enumerate().for_each(|(j, v)| {
                let first = j * CHANNELS;
                let channels = first..self.inputs.min(first + CHANNELS);
                Input { x: self.x, inputs: self.inputs, grid, places: &places, channels, v }.run();
            });
        });
    }
}

/// Values of a panel of transformed input, for some channels.
fn input_chunk(channels: usize) -> usize {
    if channels == 0 { 0 } else { POINTS * (channels * Tile::here().cols + GAP) }
}

/// All output channels of some tiles.
struct Product<'a> {
    conv: &'a Winograd<'a>,
    v: &'a [f32],
    grid: &'a Grid,
    tiles: Range<usize>,
}

impl Product<'_> {
    /// Shares the channels among the threads.
    fn run(&self, out: &mut [f32]) {
        let outputs = self.conv.weight.m();
        let unit = Tile::here().rows;
        let most = KERNEL_VALUES / (POINTS * self.conv.inputs * unit);
        let rows = share_panels(outputs.div_ceil(unit), most.clamp(1, MOST_PANELS)) * unit;
        let mut tasks: Vec<Vec<&mut [f32]>> = (0..outputs.div_ceil(rows)).map(|_| Vec::new()).collect();
        for (i, plane) in out.chunks_mut(self.grid.height * self.grid.width).enumerate() {
            tasks[i % outputs / rows].push(plane);
        }
        tasks.into_par_iter().enumerate().for_each(|(i, mut planes)| self.rows(i * rows, &mut planes));
    }

    /// Values of a panel of transformed kernels.
    fn kernel_panel(&self) -> usize {
        POINTS * (self.conv.inputs * Tile::here().rows + GAP)
    }

    /// Some output channels; `planes [batch, rows]`.
    fn rows(&self, row: usize, planes: &mut [&mut [f32]]) {
        let rows = planes.len() / self.grid.batch;
        let panels = rows.div_ceil(Tile::here().rows);
        let size = self.kernel_panel();
        with_scratch(panels * size + POINTS * (rows * OUTPUT_TILES + GAP), |memory| {
            let (u, m) = memory.split_at_mut(panels * size);
            for (i, u) in u.chunks_mut(size).enumerate() {
                let weight = self.conv.weight.panels(row + i * Tile::here().rows, 0);
                Kernels { channels: self.conv.inputs, weight, u }.run();
            }
            for from in (0..self.tiles.len()).step_by(OUTPUT_TILES) {
                self.some_tiles(u, from, row, m, planes);
            }
        });
    }

    /// Some output channels of some tiles.
    fn some_tiles(&self, u: &[f32], from: usize, row: usize, m: &mut [f32], planes: &mut [&mut [f32]]) {
        let rows = planes.len() / self.grid.batch;
        let count = OUTPUT_TILES.min(self.tiles.len() - from);
        for (point, m) in m.chunks_mut(rows * OUTPUT_TILES + GAP).enumerate() {
            self.point(u, from, point, [rows, count.next_multiple_of(Tile::here().lanes)], m);
        }
        let places = self.grid.places(self.tiles.start + from, count);
        let bias = self.conv.bias.map(|bias| &bias[row..]);
        Output { m, rows, step: OUTPUT_TILES, places: &places, grid: self.grid, bias, planes }.run();
    }

    /// The product at one point: `m [rows, OUTPUT_TILES]`.
    fn point(&self, u: &[f32], from: usize, point: usize, [rows, cols]: [usize; 2], m: &mut [f32]) {
        let (tile, inputs) = (Tile::here(), self.conv.inputs);
        let v = &self.v[self.conv.input_panel() * from / tile.cols..];
        for first in (0..inputs).step_by(CHANNELS) {
            let k = CHANNELS.min(inputs - first);
            Block {
                a: &u[point * (inputs * tile.rows + GAP) + first * tile.rows..],
                a_step: self.kernel_panel(),
                b: &v[first / CHANNELS * input_chunk(CHANNELS) + point * (k * tile.cols + GAP)..],
                b_step: self.conv.input_panel(),
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

/// Panels for a task, at most `most`, so that all threads end at about the same time.
fn share_panels(panels: usize, most: usize) -> usize {
    let threads = rayon::current_num_threads();
    let time = |share: usize| panels.div_ceil(share).div_ceil(threads) * share;
    (1..=most).rev().min_by_key(|share| time(*share)).unwrap_or(1)
}
