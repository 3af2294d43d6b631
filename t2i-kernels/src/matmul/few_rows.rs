//! Products of few rows with a weight, which is read in place.

use rayon::prelude::*;

use super::{Block, Matrix, Start, Tile, even_depth, even_share, left, left_len, pack::pack_parallel, packed_len};
use crate::{Number, rearrange::transpose_lines, scratch::with_scratch};

/// Up to that many rows the threads share the columns instead of the rows.
pub(super) const FEW_ROWS: usize = 512;
/// Values of the weight that a thread takes at a time: few, so that all threads end together.
const WEIGHTS: usize = 1 << 15;

/// `x @ w + bias`, as the transpose of `w^T @ x^T + bias`: each thread computes some columns of the result.
pub(super) fn few_rows<T: Number>(x: Matrix<'_>, w: Matrix<'_, T>, bias: Option<&[f32]>, out: &mut [f32]) {
    let (m, k, n, tile) = (x.rows(), w.rows(), w.cols(), Tile::here());
    if m == 0 || n == 0 {
        return;
    }
    let cols = even_share(n, (WEIGHTS / even_depth(k)).max(tile.rows), tile.rows);
    with_scratch(packed_len(k, m, tile.cols), |panels| {
        pack_parallel(x.t(), tile.cols, panels);
        columns(out, n, cols).into_par_iter().enumerate().for_each(|(i, out)| {
            let first = i * cols;
            let bias = bias.map_or(Start::Zero, |bias| Start::Rows(&bias[first..]));
            Columns { w: w.col_range(first, out[0].len()), panels, m, bias }.compute(out);
        });
    });
}

/// The rows of the result in parts of so many columns, `[part][row]`.
fn columns(out: &mut [f32], n: usize, cols: usize) -> Vec<Vec<&mut [f32]>> {
    let mut parts: Vec<Vec<&mut [f32]>> = (0..n.div_ceil(cols)).map(|_| Vec::with_capacity(out.len() / n)).collect();
    for row in out.chunks_mut(n) {
        parts.iter_mut().zip(row.chunks_mut(cols)).for_each(|(part, columns)| part.push(columns));
    }
    parts
}

/// Some columns of the result.
struct Columns<'a, T> {
    w: Matrix<'a, T>,
    /// `x^T [k, m]`, packed.
    panels: &'a [f32],
    m: usize,
    bias: Start<'a>,
}

impl<T: Number> Columns<'_, T> {
    fn compute(&self, out: Vec<&mut [f32]>) {
        let (tile, k, cols) = (Tile::here(), self.w.rows(), self.w.cols());
        let (wide, depth) = (self.m.next_multiple_of(tile.cols), even_depth(k));
        with_scratch(left_len(cols, depth) + cols * wide, |memory| {
            let (memory, c) = memory.split_at_mut(left_len(cols, depth));
            for from in (0..k).step_by(depth) {
                let depth = depth.min(k - from);
                Block {
                    a: left(self.w.row_range(from, depth).t(), memory),
                    b: &self.panels[from * tile.cols..],
                    b_step: k * tile.cols,
                    k: depth,
                    c: &mut *c,
                    c_step: wide,
                    rows: cols,
                    cols: self.m,
                    start: if from == 0 { self.bias } else { Start::Result },
                }
                .run();
            }
            transpose_lines(c, wide, out);
        });
    }
}
