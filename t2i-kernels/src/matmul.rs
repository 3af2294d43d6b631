//! Matrix products.
//!
//! A weight is packed once ([`PackedMatrix`]) and used often ([`linear`]); [`matmul`] packs both operands itself.

mod microkernel;
mod pack;
mod packed;

use rayon::prelude::*;

pub(crate) use self::{
    microkernel::{Block, Start, Tile},
    pack::packed_len,
    packed::{PackedLeft, pack_parallel},
};
pub use self::{pack::Matrix, packed::PackedMatrix};
use crate::scratch::with_scratch;

/// Length of the sums between two stores of the result.
const K_BLOCK: usize = 768;
/// Rows of the left operand that a thread packs at a time. They stay in the second cache.
const M_BLOCK: usize = 144;
/// Up to that many rows the threads share the columns instead of the rows.
const FEW_ROWS: usize = 48;
/// Values of the right operand that [`matmul`] packs at a time.
const B_BLOCK: usize = 1 << 20;

/// `x @ w + bias`, for a weight that is packed already.
///
/// # Shapes
///
/// `x [m, k]`, `w [k, n]`, `bias [n]`, `out [m, n]`.
///
/// # Panics
///
/// If a length does not fit the others.
pub fn linear(x: &[f32], w: &PackedMatrix, bias: Option<&[f32]>, out: &mut [f32]) {
    assert!(w.k() > 0 && x.len().is_multiple_of(w.k()), "{} values are no rows of {}", x.len(), w.k());
    let m = x.len() / w.k();
    assert_eq!(out.len(), m * w.n(), "the result is {m} x {}", w.n());
    assert!(bias.is_none_or(|bias| bias.len() == w.n()), "the bias has {} values", w.n());
    let start = bias.map_or(Start::Zero, Start::Columns);
    let b = Panels { values: w.panels(), k: w.k(), n: w.n() };
    product(Matrix::new(x, m, w.k()), b, start, out, w.n());
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
    let (k, n, width) = (b.rows(), b.cols(), Tile::here().cols);
    assert_eq!(a.cols(), k, "columns on the left are rows on the right");
    assert_eq!(out.len(), a.rows() * n, "the result is {} x {n}", a.rows());
    if k == 0 || n == 0 {
        return out.fill(0.0);
    }
    let cols = (B_BLOCK / k).next_multiple_of(width);
    for start in (0..n).step_by(cols) {
        let cols = cols.min(n - start);
        with_scratch(packed_len(k, cols, width), |values| {
            pack_parallel(b.col_range(start, cols), width, values);
            product(a, Panels { values, k, n: cols }, Start::Zero, &mut out[start..], n);
        });
    }
}

/// A right operand `[k, n]` in panels.
#[derive(Clone, Copy)]
struct Panels<'a> {
    values: &'a [f32],
    k: usize,
    n: usize,
}

/// Shares the product among the threads.
fn product(a: Matrix<'_>, b: Panels<'_>, start: Start<'_>, out: &mut [f32], step: usize) {
    let m = a.rows();
    if m == 0 || b.n == 0 {
        return;
    }
    if m <= FEW_ROWS {
        return by_columns(a, b, start, out, step);
    }
    let rows = even_share(m, M_BLOCK, Tile::here().rows);
    out.par_chunks_mut(rows * step).enumerate().for_each(|(i, out)| {
        let rows = rows.min(m - i * rows);
        let first = i * even_share(m, M_BLOCK, Tile::here().rows);
        rows_times_panels(a.row_range(first, rows), b, start, out, step);
    });
}

/// Parts of at most `most`, as many for each thread, in whole multiples of `unit`.
pub(crate) fn even_share(total: usize, most: usize, unit: usize) -> usize {
    let threads = rayon::current_num_threads();
    let parts = total.div_ceil(most).next_multiple_of(threads);
    total.div_ceil(parts).next_multiple_of(unit)
}

/// Some rows of the result, on one thread.
fn rows_times_panels(a: Matrix<'_>, b: Panels<'_>, start: Start<'_>, out: &mut [f32], step: usize) {
    let tile = Tile::here();
    let depth = even_depth(b.k);
    with_scratch(packed_len(depth, a.rows(), tile.rows), |packed| {
        for from in (0..b.k).step_by(depth) {
            let k = depth.min(b.k - from);
            a.col_range(from, k).t().pack(tile.rows, packed);
            Block {
                a: packed,
                a_step: k * tile.rows,
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

/// All rows, where they are few: each thread computes some of the columns, which are then put side by side.
fn by_columns(a: Matrix<'_>, b: Panels<'_>, start: Start<'_>, out: &mut [f32], step: usize) {
    let (m, width) = (a.rows(), Tile::here().cols);
    let cols = even_share(b.n, 512, width);
    with_scratch(m * b.n, |parts| {
        parts.par_chunks_mut(m * cols).enumerate().for_each(|(i, part)| {
            let first = i * cols;
            let n = cols.min(b.n - first);
            let b = Panels { values: &b.values[first * b.k..], n, ..b };
            let start = match start {
                Start::Columns(bias) => Start::Columns(&bias[first..]),
                other => other,
            };
            rows_times_panels(a, b, start, part, n);
        });
        for (i, part) in parts.chunks(m * cols).enumerate() {
            let n = part.len() / m;
            for (to, from) in out.chunks_mut(step).zip(part.chunks(n)) {
                to[i * cols..][..n].copy_from_slice(from);
            }
        }
    });
}
