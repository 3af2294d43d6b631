//! Products of few rows with weights, which are read in place.

use rayon::prelude::*;

use super::{
    Block, Matrix, PART, Start, Tile, even_depth, even_share, left, left_len, pack::pack_parallel, packed_len,
};
use crate::{Number, rearrange::transpose_lines, scratch::with_scratch};

/// Up to that many rows the threads share the columns instead of the rows.
pub(super) const FEW_ROWS: usize = 512;
/// Values of the weight that a thread takes at a time: few, so that all threads end together.
const WEIGHTS: usize = 1 << 15;

/// Rows `x^T [k, m]`, packed.
type Packed<'a> = &'a [f32];

/// `x @ w + bias`, as the transpose of `w^T @ x^T + bias`: each thread computes some columns of the result.
pub(super) fn few_rows<T: Number>(x: Matrix<'_>, layer: Layer<'_, T>, out: &mut [f32]) {
    let (m, n) = (x.rows(), layer.w.cols());
    if m > 0 && n > 0 {
        packed(x, |panels| layer.multiply(panels, m, out));
    }
}

/// `activation(x @ w + bias) @ w + bias` for two layers: what lies between them stays transposed and packed.
pub(super) fn few_rows_twice<T: Number>(
    x: Matrix<'_>,
    [first, second]: [Layer<'_, T>; 2],
    activation: impl Fn(&mut [f32]) + Sync,
    out: &mut [f32],
) {
    let m = x.rows();
    with_scratch(packed_len(first.w.cols(), m, Tile::here().cols), |between| {
        packed(x, |panels| first.multiply_packed(panels, m, activation, between));
        second.multiply(between, m, out);
    });
}

fn packed(x: Matrix<'_>, then: impl FnOnce(Packed<'_>)) {
    let width = Tile::here().cols;
    with_scratch(packed_len(x.cols(), x.rows(), width), |panels| {
        pack_parallel(x.t(), width, panels);
        then(panels);
    });
}

/// A weight `[k, n]` and, perhaps, `n` numbers that are added.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, T> {
    /// The weight.
    pub w: Matrix<'a, T>,
    /// What is added to every row of the result.
    pub bias: Option<&'a [f32]>,
}

impl<T: Number> Layer<'_, T> {
    /// `out [m, n]`.
    fn multiply(self, panels: Packed<'_>, m: usize, out: &mut [f32]) {
        self.each_share(panels, m, (out, 1), |c, wide, out| transpose_lines(c, wide, out));
    }

    /// The activation of the result, packed as `panels` are. Beyond the last row there may be anything.
    fn multiply_packed(self, panels: Packed<'_>, m: usize, activation: impl Fn(&mut [f32]) + Sync, out: &mut [f32]) {
        let width = Tile::here().cols;
        self.each_share(panels, m, (out, width), |c, wide, out| {
            c.chunks_mut(PART).for_each(&activation);
            for (i, panel) in out.into_iter().enumerate() {
                for (to, from) in panel.chunks_mut(width).zip(c.chunks(wide)) {
                    to.copy_from_slice(&from[i * width..][..width]);
                }
            }
        });
    }

    /// Each thread computes some columns of the result, of which `write` gets the transposed, `[columns, wide]`, and their places in `out`,
    /// whose lines have so many values for a column.
    fn each_share(
        self,
        panels: Packed<'_>,
        m: usize,
        (out, values): (&mut [f32], usize),
        write: impl Fn(&mut [f32], usize, Vec<&mut [f32]>) + Sync,
    ) {
        let (n, unit) = (self.w.cols(), Tile::here().rows);
        let share = even_share(n, (WEIGHTS / even_depth(self.w.rows())).max(unit), unit);
        parts(out, n * values, share * values).into_par_iter().enumerate().for_each(|(i, out)| {
            let first = i * share;
            let bias = self.bias.map_or(Start::Zero, |bias| Start::Rows(&bias[first..]));
            let columns = Columns { w: self.w.col_range(first, share.min(n - first)), panels, m, bias };
            columns.compute(|c, wide| write(c, wide, out));
        });
    }
}

/// Lines of `len` values in parts of `share`, `[part][line]`.
fn parts(out: &mut [f32], len: usize, share: usize) -> Vec<Vec<&mut [f32]>> {
    let mut parts: Vec<Vec<&mut [f32]>> =
        (0..len.div_ceil(share)).map(|_| Vec::with_capacity(out.len() / len)).collect();
    for line in out.chunks_mut(len) {
        parts.iter_mut().zip(line.chunks_mut(share)).for_each(|(part, piece)| part.push(piece));
    }
    parts
}

/// Some columns of the result.
struct Columns<'a, T> {
    w: Matrix<'a, T>,
    panels: Packed<'a>,
    m: usize,
    bias: Start<'a>,
}

impl<T: Number> Columns<'_, T> {
    fn compute(&self, write: impl FnOnce(&mut [f32], usize)) {
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
            write(c, wide);
        });
    }
}
