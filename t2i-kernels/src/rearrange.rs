//! Numbers in other places: other axes, larger pictures, channels side by side.

use rayon::prelude::*;

/// Rows of a result that a thread writes at a time.
const ROWS: usize = 32;

/// Each matrix transposed.
///
/// # Shapes
///
/// - x: `[batch, rows, columns]`
/// - out: `[batch, columns, rows]`
///
/// # Panics
///
/// If a size is 0, or a slice is not that long.
pub fn transpose(x: &[f32], [rows, columns]: [usize; 2], out: &mut [f32]) {
    let size = rows * columns;
    assert!(size > 0, "transpose: {rows} rows of {columns} columns");
    assert!(
        x.len() == out.len() && x.len().is_multiple_of(size),
        "transpose: x or out holds no matrices {rows} x {columns}"
    );
    out.par_chunks_mut(size).zip(x.par_chunks(size)).for_each(|(out, x)| {
        out.par_chunks_mut(ROWS * rows).enumerate().for_each(|(i, out)| {
            transpose_lines(&x[i * ROWS..], columns, out.chunks_mut(rows).collect());
        });
    });
}

/// `to[i][j] = from[j * step + i]`.
pub(crate) fn transpose_lines(from: &[f32], step: usize, mut to: Vec<&mut [f32]>) {
    for (i, rows) in to.chunks_mut(SIDE).enumerate() {
        let (columns, from) = (rows[0].len(), &from[i * SIDE..]);
        let whole = if rows.len() == SIDE { columns - columns % SIDE } else { 0 };
        for j in (0..whole).step_by(SIDE) {
            let line = |j: usize| *from[j * step..].first_chunk().expect("as long as the rows are many");
            for (row, line) in rows.iter_mut().zip(transposed([line(j), line(j + 1), line(j + 2), line(j + 3)])) {
                *row[j..].first_chunk_mut().expect("a whole line") = line;
            }
        }
        for j in whole..columns {
            for (row, value) in rows.iter_mut().zip(&from[j * step..]) {
                row[j] = *value;
            }
        }
    }
}

/// Rows and columns of a square that is transposed at once: its rows are vectors that every CPU has.
pub(crate) const SIDE: usize = 4;

/// The transposed square.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn transposed(square: [[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    use std::arch::x86_64::{__m128, _mm_movehl_ps, _mm_movelh_ps, _mm_unpackhi_ps, _mm_unpacklo_ps};
    let [a, b, c, d] = square.map(bytemuck::cast::<_, __m128>);
    // SAFETY: every x86-64 has these instructions.
    #[allow(unsafe_code)]
    let columns = unsafe {
        let (left, right) = (_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b)); // a0 b0 a1 b1, a2 b2 a3 b3
        let (more_left, more_right) = (_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        [
            _mm_movelh_ps(left, more_left),
            _mm_movehl_ps(more_left, left),
            _mm_movelh_ps(right, more_right),
            _mm_movehl_ps(more_right, right),
        ]
    };
    columns.map(bytemuck::cast)
}

/// The transposed square.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn transposed([a, b, c, d]: [[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    let column = |i: usize| [a[i], b[i], c[i], d[i]];
    [column(0), column(1), column(2), column(3)]
}

/// Pictures of another size, where each pixel is that which lies at its place, rounded up and to the left.
///
/// # Shapes
///
/// - x: `[planes, height, width]`, given as `from`
/// - out: `[planes, height, width]`, given as `to`
///
/// # Panics
///
/// If a size is 0, or the slices hold other planes.
pub fn resize_nearest(x: &[f32], from: [usize; 2], to: [usize; 2], out: &mut [f32]) {
    assert!(!from.contains(&0) && !to.contains(&0), "resize: {from:?} to {to:?}");
    let [size, result] = [from, to].map(|[height, width]| height * width);
    assert!(
        x.len().is_multiple_of(size) && out.len() == x.len() / size * result,
        "resize: x or out is not whole planes"
    );
    let columns: Vec<usize> = (0..to[1]).map(|column| column * from[1] / to[1]).collect();
    out.par_chunks_mut(result).zip(x.par_chunks(size)).for_each(|(out, x)| {
        for (row, out) in out.chunks_mut(to[1]).enumerate() {
            let x = &x[row * from[0] / to[0] * from[1]..][..from[1]];
            if to[1] == 2 * from[1] {
                out.as_chunks_mut().0.iter_mut().zip(x).for_each(|(to, value)| *to = [*value; 2]);
            } else {
                out.iter_mut().zip(&columns).for_each(|(to, column)| *to = x[*column]);
            }
        }
    });
}

/// Two batches side by side.
///
/// # Shapes
///
/// - x: `[batch, x values]`
/// - y: `[batch, y values]`
/// - out: `[batch, x values + y values]`
///
/// # Panics
///
/// If `batch` is 0 or the slices are not that long.
pub fn concat(x: &[f32], y: &[f32], batch: usize, out: &mut [f32]) {
    assert!(batch > 0 && x.len().is_multiple_of(batch) && y.len().is_multiple_of(batch), "concat: a batch of {batch}");
    assert_eq!(out.len(), x.len() + y.len(), "concat: the length of out");
    let (one, other) = (x.len() / batch, y.len() / batch);
    for (i, out) in out.chunks_mut((one + other).max(1)).enumerate() {
        let (left, right) = out.split_at_mut(one);
        copy(&x[i * one..][..one], left);
        copy(&y[i * other..][..other], right);
    }
}

/// Copies on all threads.
fn copy(from: &[f32], to: &mut [f32]) {
    const PART: usize = 1 << 16;
    to.par_chunks_mut(PART).zip(from.par_chunks(PART)).for_each(|(to, from)| to.copy_from_slice(from));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| i as f32).collect()
    }

    #[test]
    fn rows_become_columns() {
        for [batch, rows, columns] in [[1, 1, 1], [2, 16, 32], [3, 17, 33], [1, 100, 7], [2, 7, 100], [1, 48, 64]] {
            let x = numbers(batch * rows * columns);
            let mut out = vec![f32::NAN; x.len()];
            transpose(&x, [rows, columns], &mut out);
            for (i, value) in out.iter().enumerate() {
                let (b, column, row) = (i / (rows * columns), i / rows % columns, i % rows);
                assert_eq!(*value, x[(b * rows + row) * columns + column], "{batch} {rows} {columns}");
            }
        }
    }

    #[test]
    fn pixels_are_the_nearest() {
        for (from, to) in [([2, 3], [4, 6]), ([3, 2], [5, 4]), ([4, 4], [2, 3]), ([1, 1], [3, 2])] {
            let x = numbers(2 * from[0] * from[1]);
            let mut out = vec![f32::NAN; 2 * to[0] * to[1]];
            resize_nearest(&x, from, to, &mut out);
            for (i, value) in out.iter().enumerate() {
                let (plane, y, x_) = (i / (to[0] * to[1]), i / to[1] % to[0], i % to[1]);
                assert_eq!(*value, x[(plane * from[0] + y * from[0] / to[0]) * from[1] + x_ * from[1] / to[1]]);
            }
        }
    }

    #[test]
    fn batches_lie_side_by_side() {
        let mut out = [f32::NAN; 10];
        concat(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0, 9.0, 10.0], 2, &mut out);
        assert_eq!(out, [1.0, 2.0, 5.0, 6.0, 7.0, 3.0, 4.0, 8.0, 9.0, 10.0]);
    }
}
