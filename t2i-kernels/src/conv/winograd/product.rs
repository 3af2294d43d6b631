//! The matrix products at the points, and what goes with them: kernels before and outputs after.

use std::ops::Range;

use rayon::prelude::*;

use super::{GAP, POINTS, Winograd, grid::Grid, input_chunk, kernel::Kernels, output::Output};
use crate::{
    Number,
    matmul::{Block, Left, Start, Tile},
    scratch::with_scratch,
};

/// Tiles of a block of transformed output.
const OUTPUT_TILES: usize = 64;
/// Most panels of output channels that a thread computes at a time.
const MOST_PANELS: usize = 3;

/// All output channels of some tiles.
pub(super) struct Product<'a, T> {
    pub(super) conv: &'a Winograd<'a, T>,
    /// The transformed input.
    pub(super) v: &'a [f32],
    pub(super) grid: &'a Grid,
    pub(super) tiles: Range<usize>,
}

impl<T: Number> Product<'_, T> {
    /// Shares the channels among the threads.
    pub(super) fn run(&self, out: &mut [f32]) {
        let (outputs, unit) = (self.conv.weight.rows(), Tile::here().rows);
        let rows = share_panels(outputs.div_ceil(unit)) * unit;
        let mut tasks: Vec<Vec<&mut [f32]>> = (0..outputs.div_ceil(rows)).map(|_| Vec::new()).collect();
        for (i, plane) in out.chunks_mut(self.grid.height * self.grid.width).enumerate() {
            tasks[i % outputs / rows].push(plane);
        }
        tasks.into_par_iter().enumerate().for_each(|(i, mut planes)| self.rows(i * rows, &mut planes));
    }

    /// Some output channels; `planes [batch, rows]`.
    fn rows(&self, row: usize, planes: &mut [&mut [f32]]) {
        let rows = planes.len() / self.grid.batch;
        let block = POINTS * (rows * OUTPUT_TILES + GAP);
        let blocks = self.tiles.len().div_ceil(OUTPUT_TILES);
        let chunk = self.conv.chunk();
        let kernels = kernel_panel(chunk) * rows.div_ceil(Tile::here().rows);
        with_scratch(kernels + blocks * block, |memory| {
            let (u, m) = memory.split_at_mut(kernels);
            for first in (0..self.conv.inputs).step_by(chunk) {
                let channels = first..self.conv.inputs.min(first + chunk);
                self.transform_kernels(row, channels.clone(), u);
                for (i, m) in m.chunks_mut(block).enumerate() {
                    self.add_products(u, i * OUTPUT_TILES, channels.clone(), rows, m);
                }
            }
            for (i, m) in m.chunks(block).enumerate() {
                let from = i * OUTPUT_TILES;
                let places = self.grid.places(self.tiles.start + from, OUTPUT_TILES.min(self.tiles.len() - from));
                let bias = self.conv.bias.map(|bias| &bias[row..]);
                Output { m, rows, step: OUTPUT_TILES, places: &places, grid: self.grid, bias, planes }.run();
            }
        });
    }

    /// `u [panel, point, channel, tile.rows]`, for the panels from `row` on.
    fn transform_kernels(&self, row: usize, channels: Range<usize>, u: &mut [f32]) {
        let tile = Tile::here();
        let rows = self.conv.weight.rows();
        // A vector that begins in the panel may end behind it.
        with_scratch(9 * channels.len() * tile.rows + tile.lanes, |panel| {
            for (i, u) in u.chunks_exact_mut(kernel_panel(channels.len())).enumerate() {
                let row = row + i * tile.rows;
                if row < rows {
                    let weight = self.conv.weight.row_range(row, tile.rows.min(rows - row));
                    weight.col_range(9 * channels.start, 9 * channels.len()).t().pack(tile.rows, panel);
                    Kernels { channels: channels.len(), weight: panel, u }.run();
                }
            }
        });
    }

    /// The products of some channels: `m [point, rows, OUTPUT_TILES]`, for the tiles from `from` on.
    fn add_products(&self, u: &[f32], from: usize, channels: Range<usize>, rows: usize, m: &mut [f32]) {
        let (tile, k) = (Tile::here(), channels.len());
        let cols = OUTPUT_TILES.min(self.tiles.len() - from).next_multiple_of(tile.lanes);
        let v = &self.v[self.conv.input_panel() * from / tile.cols..];
        let v = &v[channels.start / self.conv.chunk() * input_chunk(self.conv.chunk())..];
        for (point, m) in m.chunks_mut(rows * OUTPUT_TILES + GAP).enumerate() {
            Block {
                a: Left::Panels { values: &u[point * (k * tile.rows + GAP)..], step: kernel_panel(k) },
                b: &v[point * (k * tile.cols + GAP)..],
                b_step: self.conv.input_panel(),
                k,
                c: m,
                c_step: OUTPUT_TILES,
                rows,
                cols,
                start: if channels.start == 0 { Start::Zero } else { Start::Result },
            }
            .run();
        }
    }
}

/// Values of a panel of transformed kernels.
fn kernel_panel(channels: usize) -> usize {
    POINTS * (channels * Tile::here().rows + GAP)
}

/// Panels for a task, so that all threads end at about the same time.
fn share_panels(panels: usize) -> usize {
    let threads = rayon::current_num_threads();
    let time = |share: usize| panels.div_ceil(share).div_ceil(threads) * share;
    (1..=MOST_PANELS).rev().min_by_key(|share| time(*share)).unwrap_or(1)
}
