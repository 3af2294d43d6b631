//! Convolution with any window, as a matrix product.
//!
//! The weight is the left operand, `[outputs, inputs * kernel]`. The right one would be `[inputs * kernel, pixels]`, each
//! value of the picture as often as a kernel has values: of that, only some pixels are ever written at a time.

mod columns;

use std::{iter, ops::Range};

use self::columns::Columns;
use super::shape::Window;
use crate::{
    Number,
    matmul::{Block, Matrix, Start, Tile, left, left_len},
    parallel::{in_turn, shares},
    scratch::{Scratch, with_scratch},
};

/// Length of the sums between two stores.
const K_BLOCK: usize = 512;
/// Values of the right operand that are kept at a time, for all threads.
const VALUES: usize = 2 << 20;
/// Pixels that a thread computes at a time. With their inputs they stay in the second cache.
const PIXELS: usize = 192;
/// Rows of the result that are worth a task of their own, and tiles of them that are, at the end.
const ROWS: usize = 96;
const LAST_TILES: usize = 4;
/// Tasks for each thread, if there are rows enough: with few, threads end apart.
const TASKS: usize = 8;

/// A convolution with any window.
pub(super) struct Implicit<'a, T> {
    /// `[outputs, inputs * kernel]`.
    pub(super) weight: Matrix<'a, T>,
    pub(super) bias: Option<&'a [f32]>,
    /// `[batch, inputs, height, width]`.
    pub(super) x: &'a [f32],
    pub(super) inputs: usize,
    pub(super) picture: [usize; 2],
    pub(super) window: Window,
}

impl<T: Number> Implicit<'_, T> {
    /// Writes the result, `out [batch, outputs, window.output(picture)]`.
    pub(super) fn forward(&self, out: &mut [f32]) {
        let [high, wide] = self.window.output(self.picture);
        let [height, width] = self.picture;
        let picture = if self.window.is_pointwise() { [1, height * width] } else { self.picture };
        let columns = Columns::new(self.x, self.inputs, picture, self.window);
        let (tile, k) = (Tile::high(), self.weight.cols());
        let shares = Shares::of(out.len() / self.weight.rows(), self.weight.rows());
        let at_a_time = (VALUES / (k * shares.pixels)).max(1) * shares.rows.len();
        let mut tasks = self.tasks(&shares, high * wide, out);
        while !tasks.is_empty() {
            let tasks: Vec<_> = tasks.drain(..tasks.len().min(at_a_time)).collect();
            let pixels = tasks[0].pixels.start..tasks[tasks.len() - 1].pixels.end;
            with_scratch(pixels.len().next_multiple_of(tile.cols) * k, |panels| {
                columns.pack(pixels.clone(), k, panels);
                in_turn(tasks.into_iter(), |task| {
                    let panels = &panels[(task.pixels.start - pixels.start) * k..];
                    self.compute(panels, task);
                });
            });
        }
    }

    /// The tasks, those of the same pixels one after another, with the places of their results.
    fn tasks<'a>(&self, shares: &Shares, pixels: usize, out: &'a mut [f32]) -> Vec<Task<'a>> {
        let outputs = self.weight.rows();
        let all = out.len() / outputs;
        let firsts =
            (0..all).step_by(shares.pixels).flat_map(|first| shares.rows.iter().map(move |rows| (first, rows)));
        let task = |(first, rows): (usize, &Range<usize>)| Task {
            pixels: first..all.min(first + shares.pixels),
            row: rows.start,
            rows: rows.clone().map(|_| Vec::new()).collect(),
        };
        let mut tasks: Vec<Task<'_>> = firsts.map(task).collect();
        for (i, mut plane) in out.chunks_mut(pixels).enumerate() {
            let (mut at, row) = (i / outputs * pixels, i % outputs);
            let band = shares.rows.partition_point(|rows| rows.end <= row);
            let row = row - shares.rows[band].start;
            while !plane.is_empty() {
                let count = (shares.pixels - at % shares.pixels).min(plane.len());
                let part = plane.split_off_mut(..count).expect("as many");
                tasks[at / shares.pixels * shares.rows.len() + band].rows[row].push(part);
                at += count;
            }
        }
        tasks
    }

    /// The sums of a task, a block of inputs at a time. `panels [panel of pixels, k, tile.cols]`.
    fn compute(&self, panels: &[f32], task: Task<'_>) {
        let tile = Tile::high();
        let (rows, pixels, inputs) = (task.rows.len(), task.pixels.len(), self.weight.cols());
        let (wide, depth) = (pixels.next_multiple_of(tile.cols), K_BLOCK.min(inputs));
        let mut memory = Scratch::of_all(&[left_len(tile, rows, depth), rows * wide]);
        let [a, c] = memory.split([left_len(tile, rows, depth), rows * wide]);
        for first in (0..inputs).step_by(depth) {
            let k = depth.min(inputs - first);
            Block {
                tile,
                a: left(tile, self.weight.row_range(task.row, rows).col_range(first, k), a),
                b: &panels[first * tile.cols..],
                b_step: inputs * tile.cols,
                k,
                c: &mut *c,
                c_step: wide,
                rows,
                cols: pixels,
                start: match self.bias {
                    _ if first > 0 => Start::Result,
                    Some(bias) => Start::Rows(&bias[task.row..]),
                    None => Start::Zero,
                },
            }
            .run();
        }
        for (parts, mut from) in task.rows.into_iter().zip(c.chunks(wide)) {
            for to in parts {
                to.copy_from_slice(from.split_off(..to.len()).expect("as many"));
            }
        }
    }
}

/// How the result `[outputs, pixels of all pictures]` is shared: each task has some pixels of some rows.
struct Shares {
    /// In whole panels.
    pixels: usize,
    rows: Vec<Range<usize>>,
}

impl Shares {
    fn of(pixels: usize, outputs: usize) -> Self {
        let (tile, parts) = (Tile::high(), pixels.div_ceil(PIXELS));
        let rows = match (TASKS * rayon::current_num_threads()).div_ceil(parts) {
            1 => iter::once(0..outputs).collect(),
            bands => shares(outputs, outputs.div_ceil(bands).max(ROWS), LAST_TILES * tile.rows).collect(),
        };
        Self { pixels: pixels.div_ceil(parts).next_multiple_of(tile.cols), rows }
    }
}

/// Some rows of the result for some pixels.
struct Task<'a> {
    /// Counted through all pictures.
    pixels: Range<usize>,
    /// The first row.
    row: usize,
    /// The places of the pixels in each row, one after another.
    rows: Vec<Vec<&'a mut [f32]>>,
}
