//! Convolution with any window, as a matrix product.
//!
//! The weight is the left operand, `[outputs, inputs * kernel]`. The right one would be `[inputs * kernel, pixels]`, each
//! value of the picture as often as a kernel has values: of that, only the panels at hand are ever written.

mod columns;

use std::ops::Range;

use rayon::prelude::*;

use self::columns::Columns;
use super::shape::Window;
use crate::{
    Number,
    matmul::{Block, Matrix, Start, Tile, even_share, left, left_len},
    scratch::Scratch,
};

/// Length of the sums between two stores.
const K_BLOCK: usize = 512;
/// Pixels that a thread computes at a time. With their inputs they stay in the second cache.
const PIXELS: usize = 192;
/// Rows of the result that are worth a task of their own.
const ROWS: usize = 96;

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
        self.tasks(high * wide, out).into_par_iter().for_each(|task| self.compute(&columns, task));
    }

    /// The result in parts: some rows of some pixels, which may be of several pictures.
    fn tasks<'a>(&self, pixels: usize, out: &'a mut [f32]) -> Vec<Task<'a>> {
        let (tile, outputs) = (Tile::high(), self.weight.rows());
        let all = out.len() / outputs;
        // Where there are few pixels the threads share the rows, and each fetches the pixels for itself.
        let share = if all <= PIXELS { all } else { even_share(all, PIXELS, tile.cols) };
        let bands = rayon::current_num_threads().div_ceil(all.div_ceil(share));
        let rows = outputs.div_ceil(bands).max(ROWS).next_multiple_of(tile.rows);
        let bands = outputs.div_ceil(rows);
        let firsts = (0..all).step_by(share).flat_map(|first| (0..bands).map(move |band| (first, band * rows)));
        let task = |(first, row)| {
            let rows = (0..rows.min(outputs - row)).map(|_| Vec::new()).collect();
            Task { pixels: first..all.min(first + share), row, rows }
        };
        let mut tasks: Vec<Task<'_>> = firsts.map(task).collect();
        for (i, mut plane) in out.chunks_mut(pixels).enumerate() {
            let (mut at, row) = (i / outputs * pixels, i % outputs);
            while !plane.is_empty() {
                let count = (share - at % share).min(plane.len());
                let part = plane.split_off_mut(..count).expect("as many");
                tasks[at / share * bands + row / rows].rows[row % rows].push(part);
                at += count;
            }
        }
        tasks
    }

    /// The sums of a task, a block of inputs at a time.
    fn compute(&self, columns: &Columns<'_>, task: Task<'_>) {
        let tile = Tile::high();
        let (rows, pixels, inputs) = (task.rows.len(), task.pixels.len(), self.weight.cols());
        let (wide, depth) = (pixels.next_multiple_of(tile.cols), K_BLOCK.min(inputs));
        let mut memory = Scratch::of_all(&[left_len(tile, rows, depth), depth * wide, rows * wide]);
        let [a, b, c] = memory.split([left_len(tile, rows, depth), depth * wide, rows * wide]);
        for first in (0..inputs).step_by(depth) {
            let k = depth.min(inputs - first);
            columns.pack(task.pixels.clone(), first..first + k, b);
            Block {
                tile,
                a: left(tile, self.weight.row_range(task.row, rows).col_range(first, k), a),
                b,
                b_step: k * tile.cols,
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

/// Some rows of the result for some pixels.
struct Task<'a> {
    /// Counted through all pictures.
    pixels: Range<usize>,
    /// The first row.
    row: usize,
    /// The places of the pixels in each row, one after another.
    rows: Vec<Vec<&'a mut [f32]>>,
}
