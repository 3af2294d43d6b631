//! Matrix products.
//!
//! One operand is read in place, row by row, and the other is packed in panels: always the smaller one ([`linear`]). So no
//! weight is packed for few rows, nor are many rows for a weight, and a weight takes its memory only once.

mod few_rows;
mod left;
mod microkernel;
mod pack;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use self::few_rows::{FEW_ROWS, few_rows, few_rows_twice};
use self::left::left_reused;
use self::pack::pack_parallel;
pub use self::{few_rows::Layer, pack::Matrix};
pub(crate) use self::{
    left::{left, left_len},
    microkernel::{Block, Left, Start, Tile},
    pack::packed_len,
};
use crate::{
    Number,
    parallel::{in_turn, shares},
    scratch::with_scratch,
};

/// Length of the sums between two stores of the result.
const K_BLOCK: usize = 768;
/// Rows of the left operand that a thread takes at a time. They stay in the second cache.
const M_BLOCK: usize = 144;
/// Values of the right operand that [`matmul`] packs at a time.
const B_BLOCK: usize = 1 << 20;

/// `x @ w + bias`. For a layer's weight of the shape `[out, in]`, `w` is `Matrix::new(weight, out, in).t()`.
///
/// # Shapes
///
/// `x [m, k]`, `w [k, n]`, `bias [n]`, `out [m, n]`.
///
/// # Panics
///
/// If a length does not fit the others.
pub fn linear<T: Number>(x: &[f32], w: Matrix<'_, T>, bias: Option<&[f32]>, out: &mut [f32]) {
    linears(x, [Layer { w, bias }], [out]);
}

/// [`linear`] for layers of one `x`, as those that make queries, keys and values.
///
/// # Panics
///
/// If a length does not fit the others.
pub fn linears<T: Number, const N: usize>(x: &[f32], layers: [Layer<'_, T>; N], mut outs: [&mut [f32]; N]) {
    let Some(k) = layers.first().map(|layer| layer.w.rows()) else { return };
    for (layer, out) in layers.iter().zip(&outs) {
        let m = layer.check(x);
        assert_eq!(layer.w.rows(), k, "all layers have one input");
        assert_eq!(out.len(), m * layer.w.cols(), "the result is {m} x {}", layer.w.cols());
    }
    let x = Matrix::new(x, x.len() / k, k);
    if x.rows() <= FEW_ROWS {
        return few_rows(x, layers, outs);
    }
    for (Layer { w, bias }, out) in layers.into_iter().zip(&mut outs) {
        let (n, tile) = (w.cols(), Tile::for_columns(w.cols()));
        with_scratch(packed_len(k, n, tile.cols), |values| {
            pack_parallel(w, tile.cols, values);
            many_rows(x, Panels { values, tile, k, n }, bias.map_or(Start::Zero, Start::Columns), out, n);
        });
    }
}

/// `activation(x @ w + bias) @ w + bias` for two layers. `activation` gets parts of what lies between, in any order.
///
/// # Shapes
///
/// `x [m, k]`, the first `w [k, between]`, the second `w [between, n]`, `out [m, n]`.
///
/// # Panics
///
/// If a length does not fit the others.
pub fn perceptron<T: Number>(
    x: &[f32],
    layers: [Layer<'_, T>; 2],
    activation: impl Fn(&mut [f32]) + Sync,
    out: &mut [f32],
) {
    let (m, [k, between, n]) = (layers[0].check(x), [layers[0].w.rows(), layers[0].w.cols(), layers[1].w.cols()]);
    assert!(between > 0 && n > 0, "layers from {k} to {between} to {n}");
    assert_eq!(layers[1].w.rows(), between, "rows of the second weight are columns of the first");
    assert_eq!(out.len(), m * n, "the result is {m} x {n}");
    layers[1].check_bias();
    if m <= FEW_ROWS {
        return few_rows_twice(Matrix::new(x, m, k), layers, activation, out);
    }
    with_scratch(m * between, |values| {
        linear(x, layers[0].w, layers[0].bias, values);
        values.par_chunks_mut(PART).for_each(&activation);
        linear(values, layers[1].w, layers[1].bias, out);
    });
}

/// `a @ b`. A transposed operand is `a.t()`.
///
/// # Shapes
///
/// `a [m, k]`, `b [k, n]`, `out [m, n]`.
///
/// # Panics
///
/// If a length does not fit the others.
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
    let (k, n) = (b.rows(), b.cols());
    assert_eq!(a.cols(), k, "columns on the left are rows on the right");
    assert_eq!(out.len(), a.rows() * n, "the result is {} x {n}", a.rows());
    if k == 0 || n == 0 {
        return out.fill(0.0);
    }
    if a.rows() <= FEW_ROWS {
        return few_rows(a, [Layer { w: b, bias: None }], [out]);
    }
    let tile = Tile::for_columns(n);
    let cols = (B_BLOCK / k).next_multiple_of(tile.cols);
    for start in (0..n).step_by(cols) {
        let cols = cols.min(n - start);
        with_scratch(packed_len(k, cols, tile.cols), |values| {
            pack_parallel(b.col_range(start, cols), tile.cols, values);
            many_rows(a, Panels { values, tile, k, n: cols }, Start::Zero, &mut out[start..], n);
        });
    }
}

/// Values of which a thread takes a function at a time.
const PART: usize = 1 << 12;

/// A right operand `[k, n]` in panels.
#[derive(Clone, Copy)]
struct Panels<'a> {
    values: &'a [f32],
    tile: Tile,
    k: usize,
    n: usize,
}

/// Each thread computes some rows.
fn many_rows(a: Matrix<'_>, b: Panels<'_>, start: Start<'_>, out: &mut [f32], step: usize) {
    let mut rest = out;
    let parts = shares(a.rows(), M_BLOCK, b.tile.rows).map(|rows| {
        let len = rest.len().min(rows.len() * step);
        (rows, rest.split_off_mut(..len).expect("as many"))
    });
    in_turn(parts, |(rows, out)| rows_times_panels(a.row_range(rows.start, rows.len()), b, start, out, step));
}

/// Some rows of the result, on one thread.
fn rows_times_panels(a: Matrix<'_>, b: Panels<'_>, start: Start<'_>, out: &mut [f32], step: usize) {
    let (tile, depth) = (b.tile, even_depth(b.k));
    with_scratch(left_len(tile, a.rows(), depth), |memory| {
        for from in (0..b.k).step_by(depth) {
            let k = depth.min(b.k - from);
            Block {
                tile,
                a: left_reused(tile, a.col_range(from, k), memory),
                b: &b.values[from * tile.cols..],
                b_step: b.k * tile.cols,
                k,
                c: &mut *out,
                c_step: step,
                rows: a.rows(),
                cols: b.n,
                start: if from == 0 { start } else { Start::Result },
            }
            .run();
        }
    });
}

/// Sums of about as many values in each block.
fn even_depth(k: usize) -> usize {
    k.div_ceil(k.div_ceil(K_BLOCK).max(1)).max(1)
}
