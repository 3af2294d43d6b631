//! Matrix products.
//!
//! A weight is packed for every product ([`linear`]), in memory that the threads keep: packed once, it would take its memory
//! twice, and where a product has few rows each thread packs what it is about to read, which then lies in its cache.

mod microkernel;
mod pack;
mod packed;

use rayon::prelude::*;

pub use self::pack::Matrix;
use self::packed::pack_parallel;
pub(crate) use self::{
    microkernel::{Block, Start, Tile},
    pack::packed_len,
    packed::PackedLeft,
};
use crate::{Number, scratch::with_scratch};

/// Length of the sums between two stores of the result.
const K_BLOCK: usize = 768;
/// Rows of the left operand that a thread packs at a time. They stay in the second cache.
const M_BLOCK: usize = 144;
/// Up to that many rows the threads share the columns instead of the rows.
const FEW_ROWS: usize = 512;
/// Values of the right operand that a thread packs at a time where there are few rows. They stay in the second cache.
const PANELS: usize = 1 << 17;
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
    let (k, n, width) = (w.rows(), w.cols(), Tile::here().cols);
    assert!(k > 0 && x.len().is_multiple_of(k), "{} values are no rows of {k}", x.len());
    let x = Matrix::new(x, x.len() / k, k);
    assert_eq!(out.len(), x.rows() * n, "the result is {} x {n}", x.rows());
    assert!(bias.is_none_or(|bias| bias.len() == n), "the bias has {n} values");
    let start = bias.map_or(Start::Zero, Start::Columns);
    if x.rows() <= FEW_ROWS {
        return few_rows(x, w, start, out);
    }
    with_scratch(packed_len(k, n, width), |values| {
        pack_parallel(w, width, values);
        many_rows(x, Panels { values, k, n }, start, out, n);
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
    let (k, n, width) = (b.rows(), b.cols(), Tile::here().cols);
    assert_eq!(a.cols(), k, "columns on the left are rows on the right");
    assert_eq!(out.len(), a.rows() * n, "the result is {} x {n}", a.rows());
    if k == 0 || n == 0 {
        return out.fill(0.0);
    }
    if a.rows() <= FEW_ROWS {
        return few_rows(a, b, Start::Zero, out);
    }
    let cols = (B_BLOCK / k).next_multiple_of(width);
    for start in (0..n).step_by(cols) {
        let cols = cols.min(n - start);
        with_scratch(packed_len(k, cols, width), |values| {
            pack_parallel(b.col_range(start, cols), width, values);
            many_rows(a, Panels { values, k, n: cols }, Start::Zero, &mut out[start..], n);
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

/// Each thread computes some rows.
fn many_rows(a: Matrix<'_>, b: Panels<'_>, start: Start<'_>, out: &mut [f32], step: usize) {
    let m = a.rows();
    let rows = even_share(m, M_BLOCK, Tile::here().rows);
    out.par_chunks_mut(rows * step).enumerate().for_each(|(i, out)| {
        rows_times_panels(a.row_range(i * rows, rows.min(m - i * rows)), b, start, out, step);
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

/// Each thread computes some columns: it packs those of the right operand, and multiplies while they are in its cache.
fn few_rows<T: Number>(a: Matrix<'_>, b: Matrix<'_, T>, start: Start<'_>, out: &mut [f32]) {
    let (m, k, n, tile) = (a.rows(), b.rows(), b.cols(), Tile::here());
    if m == 0 || n == 0 {
        return;
    }
    let (a, depth) = (PackedLeft::new(a), even_depth(k));
    let cols = even_share(n, (PANELS / depth).max(tile.cols), tile.cols);
    let mut tasks: Vec<Vec<&mut [f32]>> = (0..n.div_ceil(cols)).map(|_| Vec::with_capacity(m)).collect();
    for row in out.chunks_mut(n) {
        tasks.iter_mut().zip(row.chunks_mut(cols)).for_each(|(task, part)| task.push(part));
    }
    tasks.into_par_iter().enumerate().for_each(|(i, parts)| {
        let (first, cols) = (i * cols, parts[0].len());
        let wide = cols.next_multiple_of(tile.cols);
        let start = match start {
            Start::Columns(bias) => Start::Columns(&bias[first..]),
            other => other,
        };
        with_scratch((depth + m) * wide, |memory| {
            let (packed, c) = memory.split_at_mut(depth * wide);
            for from in (0..k).step_by(depth) {
                let k = depth.min(k - from);
                b.row_range(from, k).col_range(first, cols).pack(tile.cols, packed);
                Block {
                    a: a.panels(0, from),
                    a_step: a.step(),
                    b: packed,
                    b_step: k * tile.cols,
                    k,
                    c: &mut *c,
                    c_step: wide,
                    rows: m,
                    cols,
                    start: if from == 0 { start } else { Start::Result },
                }
                .run();
            }
            for (to, from) in parts.into_iter().zip(c.chunks(wide)) {
                to.copy_from_slice(&from[..cols]);
            }
        });
    });
}
