//! Many tiles: the kernels are transformed once, and each thread computes the outputs of some tiles.

use std::ops::Range;

use super::{
    POINTS, Winograd,
    chunk::Chunk,
    grid::{Grid, SIDE},
    output::Output,
    products::{Products, result_len},
};
use crate::{Number, matmul::Tile, parallel::in_turn, scratch::with_scratch};

/// From so many tiles on it takes longer to transform the kernels again than to read them.
pub(super) const LEAST_TILES: usize = 256;
/// Most channels that are summed between two stores.
const MOST_CHANNELS: usize = 512;
/// Values of transformed kernels that are kept at a time, for all threads: 64 MiB.
const KERNEL_VALUES: usize = 16 << 20;
/// Tiles that a thread computes at a time.
const TILES: usize = 64;

/// A convolution of many tiles.
pub(super) struct ByTiles<'a, T> {
    pub(super) conv: &'a Winograd<'a, T>,
    pub(super) grid: Grid,
}

/// Some output channels, whose kernels are transformed.
struct Outputs<'a> {
    rows: Range<usize>,
    chunks: &'a [Chunk],
    /// `[chunk, point, panel]`.
    u: &'a [f32],
}

/// Whole rows of tiles of one picture.
struct Task<'a> {
    /// The first tile.
    first: usize,
    /// Where the results go: the lines of these tiles in the plane of each output channel.
    planes: Vec<&'a mut [f32]>,
}

impl<T: Number> ByTiles<'_, T> {
    /// Writes the result, `out [batch, outputs, height, width]`.
    pub(super) fn run(&self, out: &mut [f32]) {
        let outputs = self.conv.outputs;
        let chunks = Chunk::all(self.conv.inputs, MOST_CHANNELS);
        let parts = (POINTS * self.conv.inputs * outputs).div_ceil(KERNEL_VALUES);
        let rows = outputs.div_ceil(parts).next_multiple_of(Tile::high().rows);
        for first in (0..outputs).step_by(rows) {
            let rows = first..outputs.min(first + rows);
            with_scratch(chunks.iter().map(|chunk| chunk.kernels_len(rows.len())).sum(), |u| {
                for (chunk, u) in chunks.iter().zip(u.chunks_mut(chunks[0].kernels_len(rows.len()))) {
                    in_turn(chunk.kernel_panels(rows.len(), u).into_iter().enumerate(), |(i, u)| {
                        self.conv.transform_kernels(first + i * Tile::high().rows, chunk, u);
                    });
                }
                let tasks = self.tasks(rows.clone(), out);
                let outputs = Outputs { rows, chunks: &chunks, u };
                in_turn(tasks.into_iter(), |task| self.compute(&outputs, task));
            });
        }
    }

    fn tasks<'o>(&self, rows: Range<usize>, out: &'o mut [f32]) -> Vec<Task<'o>> {
        let Grid { height, width, .. } = self.grid;
        let (high, wide) = (height.div_ceil(SIDE), width.div_ceil(SIDE));
        let lines = (TILES / wide).max(1);
        let mut tasks = Vec::new();
        for (i, picture) in out.chunks_mut(self.conv.outputs * height * width).enumerate() {
            let of_before = tasks.len();
            let firsts = (0..high).step_by(lines).map(|line| (i * high + line) * wide);
            tasks.extend(firsts.map(|first| Task { first, planes: Vec::with_capacity(rows.len()) }));
            for plane in picture.chunks_mut(height * width).take(rows.end).skip(rows.start) {
                for (task, lines) in tasks[of_before..].iter_mut().zip(plane.chunks_mut(SIDE * lines * width)) {
                    task.planes.push(lines);
                }
            }
        }
        tasks
    }

    fn compute(&self, outputs: &Outputs<'_>, mut task: Task<'_>) {
        let (unit, rows, width) = (Tile::high().cols, outputs.rows.len(), self.grid.width);
        let grid = Grid { batch: 1, height: task.planes[0].len() / width, width };
        let step = grid.tiles().min(TILES).next_multiple_of(unit);
        let panel = Chunk::panel(outputs.chunks);
        let input = panel * step / unit;
        with_scratch(input + result_len(rows, step), |memory| {
            let (v, m) = memory.split_at_mut(input);
            for first in (0..grid.tiles()).step_by(step) {
                let tiles = step.min(grid.tiles() - first);
                for (i, v) in v.chunks_mut(panel).enumerate().take(tiles.div_ceil(unit)) {
                    for chunk in outputs.chunks {
                        let v = &mut v[chunk.input_start()..][..chunk.input_len()];
                        self.conv.transform_input(&self.grid, task.first + first + i * unit, chunk, v);
                    }
                }
                let kernels = outputs.u.chunks(outputs.chunks[0].kernels_len(rows));
                for (chunk, u) in outputs.chunks.iter().zip(kernels) {
                    Products { chunk, u, rows, v, panel, tiles, step }.add_to(m);
                }
                let (places, planes) = (grid.places(first, tiles), &mut task.planes);
                let bias = self.conv.bias.map(|bias| &bias[outputs.rows.start..]);
                Output { m, rows, step, places: &places, grid: &grid, bias, planes }.run();
            }
        });
    }
}
