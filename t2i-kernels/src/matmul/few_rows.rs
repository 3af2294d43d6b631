//! Products of few rows with weights, which are read in place.

use super::{Block, Matrix, PART, Start, Tile, even_depth, left, left_len, pack::pack_parallel, packed_len};
use crate::{
    Number,
    parallel::{in_turn, shares},
    rearrange::transpose_lines,
    scratch::with_scratch,
};

/// Up to that many rows the threads share the columns instead of the rows.
pub(super) const FEW_ROWS: usize = 512;
/// Values of the weight that a thread takes at a time: more let threads end apart, fewer let each panel of rows come from the third
/// cache for little.
const WEIGHTS: usize = 1 << 17;

/// Rows `x [m, k]` as panels of `x^T`.
#[derive(Clone, Copy)]
struct Packed<'a> {
    panels: &'a [f32],
    tile: Tile,
    m: usize,
}

/// `x @ w + bias` for each layer, as the transpose of `w^T @ x^T + bias`: each thread computes some columns of the results.
pub(super) fn few_rows<T: Number, const N: usize>(x: Matrix<'_>, layers: [Layer<'_, T>; N], outs: [&mut [f32]; N]) {
    packed(x, |x| {
        let shares = layers.into_iter().zip(outs).flat_map(|(layer, out)| layer.shares(out, 1, x.tile));
        multiply(shares, x);
    });
}

/// `activation(x @ w + bias) @ w + bias` for two layers: what lies between them stays transposed and packed.
pub(super) fn few_rows_twice<T: Number>(
    x: Matrix<'_>,
    [first, second]: [Layer<'_, T>; 2],
    activation: impl Fn(&mut [f32]) + Sync,
    out: &mut [f32],
) {
    let (m, tile) = (x.rows(), Tile::for_columns(x.rows()));
    with_scratch(packed_len(first.w.cols(), m, tile.cols), |between| {
        packed(x, |x| {
            in_turn(first.shares(between, tile.cols, tile), |share| {
                share.compute(x, |c, wide, out| {
                    c.chunks_mut(PART).for_each(&activation);
                    write_packed(c, wide, out, tile.cols);
                });
            });
        });
        multiply(second.shares(out, 1, tile), Packed { panels: between, tile, m });
    });
}

/// The results of all shares, row by row.
fn multiply<'a, 'o, T: Number + 'a>(shares: impl Iterator<Item = Share<'a, 'o, T>> + Send, x: Packed<'_>) {
    in_turn(shares, |share| share.compute(x, |c, wide, out| transpose_lines(c, wide, out)));
}

/// Transposed columns, `[columns, wide]`, to their place in each panel. Beyond the last row there may be anything.
fn write_packed(c: &[f32], wide: usize, panels: Vec<&mut [f32]>, width: usize) {
    for (i, panel) in panels.into_iter().enumerate() {
        for (to, from) in panel.chunks_mut(width).zip(c.chunks(wide)) {
            to.copy_from_slice(&from[i * width..][..width]);
        }
    }
}

fn packed(x: Matrix<'_>, then: impl FnOnce(Packed<'_>)) {
    let (m, tile) = (x.rows(), Tile::for_columns(x.rows()));
    with_scratch(packed_len(x.cols(), m, tile.cols), |panels| {
        pack_parallel(x.t(), tile.cols, panels);
        then(Packed { panels, tile, m });
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

impl<'a, T: Number> Layer<'a, T> {
    /// The rows of `x`.
    ///
    /// # Panics
    ///
    /// If they do not fit the weight, or the bias does not.
    pub(super) fn check(&self, x: &[f32]) -> usize {
        let k = self.w.rows();
        assert!(k > 0 && x.len().is_multiple_of(k), "{} values are no rows of {k}", x.len());
        self.check_bias();
        x.len() / k
    }

    pub(super) fn check_bias(&self) {
        let n = self.w.cols();
        assert!(self.bias.is_none_or(|bias| bias.len() == n), "the bias has {n} values");
    }

    /// The result in parts of some columns. The lines of `out` have so many values for a column.
    fn shares<'o>(self, out: &'o mut [f32], values: usize, tile: Tile) -> impl Iterator<Item = Share<'a, 'o, T>> {
        let n = self.w.cols();
        let mut lines: Vec<&mut [f32]> = out.chunks_mut((n * values).max(1)).collect();
        shares(n, WEIGHTS / even_depth(self.w.rows()), tile.rows).map(move |columns| Share {
            w: self.w.col_range(columns.start, columns.len()),
            bias: self.bias.map_or(Start::Zero, |bias| Start::Rows(&bias[columns.start..])),
            out: lines.iter_mut().map(|line| line.split_off_mut(..columns.len() * values).expect("as many")).collect(),
        })
    }
}

/// Some columns of a layer's result.
struct Share<'a, 'o, T> {
    w: Matrix<'a, T>,
    bias: Start<'a>,
    /// Their place in each line.
    out: Vec<&'o mut [f32]>,
}

impl<T: Number> Share<'_, '_, T> {
    /// `write` gets the columns transposed, `[columns, wide]`, the length of a line, and `out`.
    fn compute(self, x: Packed<'_>, write: impl FnOnce(&mut [f32], usize, Vec<&mut [f32]>)) {
        let Packed { panels, tile, m } = x;
        let (k, cols) = (self.w.rows(), self.w.cols());
        let (wide, depth) = (m.next_multiple_of(tile.cols), even_depth(k));
        with_scratch(left_len(tile, cols, depth) + cols * wide, |memory| {
            let (memory, c) = memory.split_at_mut(left_len(tile, cols, depth));
            for from in (0..k).step_by(depth) {
                let depth = depth.min(k - from);
                Block {
                    tile,
                    a: left(tile, self.w.row_range(from, depth).t(), memory),
                    b: &panels[from * tile.cols..],
                    b_step: k * tile.cols,
                    k: depth,
                    c: &mut *c,
                    c_step: wide,
                    rows: cols,
                    cols: m,
                    start: if from == 0 { self.bias } else { Start::Result },
                }
                .run();
            }
            write(c, wide, self.out);
        });
    }
}
