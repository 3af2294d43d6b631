//! Copies of a block in the order in which the products read it.

use super::heads::Rows;

/// Queries across the lanes: `out[c][lane] = scale * rows[lane][c]`, zero in lanes without a query.
///
/// # Shapes
///
/// `[len, d]` to `[d, lanes]`
#[inline(always)]
pub(super) fn across(rows: Rows<'_>, scale: f32, lanes: usize, out: &mut [f32]) {
    if rows.len < lanes {
        out.fill(0.0);
    }
    for lane in 0..rows.len {
        for (x, to) in rows.row(lane).iter().zip(out.chunks_exact_mut(lanes)) {
            to[lane] = scale * x;
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

/// Rows as they are, `stride` apart.
#[inline(always)]
pub(super) fn rows(rows: Rows<'_>, stride: usize, out: &mut [f32]) {
    for (i, to) in out.chunks_exact_mut(stride).take(rows.len).enumerate() {
        to[..rows.width].copy_from_slice(rows.row(i));
    }
}

/// Columns in groups of `N` that lie one after the other, the last of 4, 2 and 1 columns where `N` does not divide.
///
/// # Shapes
///
/// `[len, width]` to `[width / N, len, N]`
#[inline(always)]
pub(super) fn columns<const N: usize>(rows: Rows<'_>, out: &mut [f32]) {
    let mut c = 0;
    while rows.width - c >= N {
        group::<N>(rows, c, &mut out[c * rows.len..]);
        c += N;
    }
    if rows.width - c >= 4 {
        group::<4>(rows, c, &mut out[c * rows.len..]);
        c += 4;
    }
    if rows.width - c >= 2 {
        group::<2>(rows, c, &mut out[c * rows.len..]);
        c += 2;
    }
    if rows.width > c {
        group::<1>(rows, c, &mut out[c * rows.len..]);
    }
}

#[inline(always)]
fn group<const N: usize>(rows: Rows<'_>, c: usize, out: &mut [f32]) {
    for (i, to) in out.as_chunks_mut::<N>().0.iter_mut().take(rows.len).enumerate() {
        to.copy_from_slice(&rows.row(i)[c..c + N]);
    }
}
