//! Convolution with any window, as a matrix product.
//!
//! The weight is the left operand, `[outputs, inputs * kernel]`. The right one would be `[inputs * kernel, pixels]`, each
//! value of the picture as often as a kernel has values: of that, only the panels at hand are ever written.

mod columns;

use rayon::prelude::*;

use self::columns::Columns;
use super::shape::Window;
use crate::{
    matmul::{Block, PackedLeft, Start, Tile, even_share},
    scratch::with_scratch,
};

/// Length of the sums between two stores.
const K_BLOCK: usize = 512;
/// Pixels that a thread computes at a time. With their inputs they stay in the second cache.
const PIXELS: usize = 192;
/// Rows of the result that are worth a task of their own.
const ROWS: usize = 96;

/// A convolution with any window.
pub(super) struct Implicit<'a> {
    /// `[outputs, inputs * kernel]`.
    pub(super) weight: &'a PackedLeft,
    pub(super) bias: Option<&'a [f32]>,
    /// `[batch, inputs, height, width]`.
    pub(super) x: &'a [f32],
    pub(super) inputs: usize,
    pub(super) picture: [usize; 2],
    pub(super) window: Window,
}

impl Implicit<'_> {
    /// Writes the result, `out [batch, outputs, window.output(picture)]`.
    pub(super) fn forward(&self, out: &mut [f32]) {
        let [high, wide] = self.window.output(self.picture);
        let [height, width] = self.picture;
        let picture = if self.window.is_pointwise() { [1, height * width] } else { self.picture };
        let columns = Columns::new(self.x, self.inputs, picture, self.window);
        self.tasks(high * wide, out).into_par_iter().for_each(|task| self.compute(&columns, task));
    }

    /// The result in parts: some rows of some pixels of a picture.
    fn tasks<'a>(&self, pixels: usize, out: &'a mut [f32]) -> Vec<Task<'a>> {
        let tile = Tile::here();
        let share = even_share(pixels, PIXELS, tile.cols);
        let parts = out.len() / (pixels * self.weight.m()) * pixels.div_ceil(share);
        // Where there are few pixels the threads share the rows, and each fetches the pixels for itself.
        let threads = rayon::current_num_threads();
        let bands = if parts >= 4 * threads { 1 } else { (4 * threads).div_ceil(parts) };
        let rows = self.weight.m().div_ceil(bands).max(ROWS).next_multiple_of(tile.rows);
        let bands = self.weight.m().div_ceil(rows);
        let mut tasks = Vec::new();
        for (picture, planes) in out.chunks_mut(pixels * self.weight.m()).enumerate() {
            let at = tasks.len();
            for first in (0..pixels).step_by(share) {
                tasks.extend((0..bands).map(|i| Task { picture, first, row: i * rows, parts: Vec::new() }));
            }
            for (row, plane) in planes.chunks_mut(pixels).enumerate() {
                for (i, part) in plane.chunks_mut(share).enumerate() {
                    tasks[at + i * bands + row / rows].parts.push(part);
                }
            }
        }
        tasks
    }

    /// The sums of a task, a block of inputs at a time.
    fn compute(&self, columns: &Columns<'_>, mut task: Task<'_>) {
        let tile = Tile::here();
        let (rows, pixels) = (task.parts.len(), task.parts[0].len());
        let wide = pixels.next_multiple_of(tile.cols);
        let depth = K_BLOCK.min(self.weight.k());
        with_scratch((depth + rows) * wide, |memory| {
            let (b, c) = memory.split_at_mut(depth * wide);
            for first in (0..self.weight.k()).step_by(depth) {
                let k = depth.min(self.weight.k() - first);
                columns.pack(task.picture, task.first..task.first + pixels, first..first + k, b);
                Block {
                    a: self.weight.panels(task.row, first),
                    a_step: self.weight.step(),
                    b,
                    b_step: k * tile.cols,
                    k,
                    c,
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
            for (to, from) in task.parts.iter_mut().zip(c.chunks(wide)) {
                to.copy_from_slice(&from[..pixels]);
            }
        });
    }
}

/// Some rows of the result for some pixels of a picture.
struct Task<'a> {
    picture: usize,
    /// The first pixel.
    first: usize,
    /// The first row.
    row: usize,
    /// For each row, the place of the pixels.
    parts: Vec<&'a mut [f32]>,
}
