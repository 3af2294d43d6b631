//! Copies of a block in the order in which the products read it.

use super::heads::Rows;

/// From one row of keys to the next in a block. Rows of 1 KiB would lie in the same few sets of the first cache.
pub(super) fn stride(width: usize) -> usize {
    if width.is_multiple_of(256) { width + 16 } else { width }
}

/// Queries across the lanes: `out[c][lane] = rows[lane][c]`, zero in lanes without a query.
///
/// # Shapes
///
/// `[len, d]` to `[d, lanes]`
#[inline(always)]
pub(super) fn across(rows: Rows<'_>, lanes: usize, out: &mut [f32]) {
    if rows.len < lanes {
        out.fill(0.0);
    }
    for lane in 0..rows.len {
        for (x, to) in rows.row(lane).iter().zip(out.chunks_exact_mut(lanes)) {
            to[lane] = *x;
        }
    }
}

/// Back from [`across`]: `rows[lane][c] = x[c][lane]`.
#[inline(always)]
pub(super) fn back(x: &[f32], lanes: usize, rows: &mut [&mut [f32]]) {
    for (lane, row) in rows.iter_mut().enumerate() {
        for (to, from) in row.iter_mut().zip(x.chunks_exact(lanes)) {
            *to = from[lane];
        }
    }
}

/// Rows times `scale`, `stride` apart.
#[inline(always)]
pub(super) fn rows(rows: Rows<'_>, scale: f32, stride: usize, out: &mut [f32]) {
    for (i, to) in out.chunks_exact_mut(stride).take(rows.len).enumerate() {
        for (to, x) in to.iter_mut().zip(rows.row(i)) {
            *to = scale * x;
        }
    }
}

/// Columns in groups of `N` that lie one after the other, the last of 4, 2 and 1 columns where `N` does not divide.
///
/// # Shapes
///
/// `[len, width]` to `[width / N, len, N]`
#[inline(always)]
pub(super) fn columns<const N: usize>(rows: Rows<'_>, out: &mut [f32]) {
    for i in 0..rows.len {
        let at = |c: usize, n: usize| c * rows.len + i * n;
        let (groups, mut rest) = rows.row(i).as_chunks::<N>();
        for (g, group) in groups.iter().enumerate() {
            out[at(g * N, N)..][..N].copy_from_slice(group);
        }
        while !rest.is_empty() {
            let n = [1, 2, 2, 4, 4, 4, 4][rest.len() - 1]; // the largest of 4, 2 and 1 that fits
            out[at(rows.width - rest.len(), n)..][..n].copy_from_slice(&rest[..n]);
            rest = &rest[n..];
        }
    }
}

/// Rows with zeros after them, and rows of zeros up to `rows` of them.
///
/// # Shapes
///
/// `[len, from..from + width]` to `[rows, lanes]`
#[inline(always)]
pub(super) fn padded(rows: Rows<'_>, from: usize, width: usize, lanes: usize, out: &mut [f32]) {
    for (i, to) in out.chunks_exact_mut(lanes).enumerate() {
        let row = if i < rows.len { &rows.row(i)[from..from + width] } else { &[] };
        to[..row.len()].copy_from_slice(row);
        to[row.len()..].fill(0.0);
    }
}
