//! Few tiles: each thread computes some output channels, for which it transforms the kernels itself.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    POINTS, Winograd,
    chunk::Chunk,
    grid::Grid,
    output::Output,
    products::{Products, result_len},
};
use crate::{
    Number,
    matmul::Tile,
    parallel::{in_turn, shares},
    scratch::with_scratch,
};

/// Most channels that are summed between two stores: so few that their transformed kernels stay in the second cache.
const MOST_CHANNELS: usize = 128;
/// Values of transformed input that are kept at a time, for all threads.
const INPUT_VALUES: usize = 2 << 20;
/// Tiles of a block of transformed output.
const OUTPUT_TILES: usize = 64;
/// Most panels of output channels that a thread computes at a time.
const MOST_PANELS: usize = 3;

/// A convolution of few tiles.
pub(super) struct ByRows<'a, T> {
    pub(super) conv: &'a Winograd<'a, T>,
    pub(super) grid: Grid,
}

/// Transformed input, for all threads.
struct Inputs<'a> {
    chunks: &'a [Chunk],
    /// `[panel of tiles, chunk, point, channel, tile.cols]`.
    v: &'a [f32],
    /// Values of a panel.
    panel: usize,
    tiles: Range<usize>,
}

impl<T: Number> ByRows<'_, T> {
    /// Writes the result, `out [batch, outputs, height, width]`.
    pub(super) fn run(&self, out: &mut [f32]) {
        let (grid, unit) = (&self.grid, Tile::high().cols);
        let chunks = Chunk::all(self.conv.inputs, MOST_CHANNELS);
        let panel = Chunk::panel(&chunks);
        let most = (INPUT_VALUES / (POINTS * self.conv.inputs)).next_multiple_of(unit);
        let parts = grid.tiles().div_ceil(most);
        let tiles = grid.tiles().div_ceil(parts).next_multiple_of(unit);
        with_scratch(panel * tiles / unit, |v| {
            for first in (0..grid.tiles()).step_by(tiles) {
                let tiles = first..grid.tiles().min(first + tiles);
                let v = &mut v[..panel * tiles.len().div_ceil(unit)];
                v.par_chunks_mut(panel).enumerate().for_each(|(i, v)| {
                    v.par_chunks_mut(chunks[0].input_len()).zip(&chunks).for_each(|(v, chunk)| {
                        self.conv.transform_input(grid, first + i * unit, chunk, v);
                    });
                });
                self.share_outputs(&Inputs { chunks: &chunks, v, panel, tiles }, out);
            }
        });
    }

    fn share_outputs(&self, inputs: &Inputs<'_>, out: &mut [f32]) {
        let (outputs, unit) = (self.conv.outputs, Tile::high().rows);
        let shares: Vec<_> = shares(outputs, MOST_PANELS * unit, unit).collect();
        let mut tasks: Vec<(usize, Vec<&mut [f32]>)> = shares.iter().map(|rows| (rows.start, Vec::new())).collect();
        let mut planes = out.chunks_mut(self.grid.height * self.grid.width);
        for _ in 0..self.grid.batch {
            for ((_, task), rows) in tasks.iter_mut().zip(&shares) {
                task.extend(planes.by_ref().take(rows.len()));
            }
        }
        in_turn(tasks.into_iter(), |(row, mut planes)| self.rows(inputs, row, &mut planes));
    }

    /// Some output channels; `planes [batch, rows]`.
    fn rows(&self, inputs: &Inputs<'_>, row: usize, planes: &mut [&mut [f32]]) {
        let rows = planes.len() / self.grid.batch;
        let block = result_len(rows, OUTPUT_TILES);
        let kernels = inputs.chunks[0].kernels_len(rows);
        let firsts = || inputs.tiles.clone().step_by(OUTPUT_TILES);
        with_scratch(kernels + block * firsts().count(), |memory| {
            let (u, m) = memory.split_at_mut(kernels);
            for chunk in inputs.chunks {
                let u = &mut u[..chunk.kernels_len(rows)];
                for (i, u) in chunk.kernel_panels(rows, u).into_iter().enumerate() {
                    self.conv.transform_kernels(row + i * Tile::high().rows, chunk, u);
                }
                for (first, m) in firsts().zip(m.chunks_exact_mut(block)) {
                    let v = &inputs.v[inputs.panel * (first - inputs.tiles.start) / Tile::high().cols..];
                    let tiles = OUTPUT_TILES.min(inputs.tiles.end - first);
                    Products { chunk, u, rows, v, panel: inputs.panel, tiles, step: OUTPUT_TILES }.add_to(m);
                }
            }
            for (first, m) in firsts().zip(m.chunks_exact(block)) {
                let places = self.grid.places(first, OUTPUT_TILES.min(inputs.tiles.end - first));
                let bias = self.conv.bias.map(|bias| &bias[row..]);
                Output { m, rows, step: OUTPUT_TILES, places: &places, grid: &self.grid, bias, planes }.run();
            }
        });
    }
}
