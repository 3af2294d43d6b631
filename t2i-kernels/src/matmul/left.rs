//! Left operands: in place where their rows lie in one piece.

use super::{
    microkernel::{Left, Tile},
    pack::{Matrix, packed_len},
};
use crate::Number;

/// Values of memory for [`left`].
pub(crate) fn left_len(tile: Tile, rows: usize, k: usize) -> usize {
    packed_len(k, rows, tile.rows)
}

/// A left operand `[rows, k]`: where it lies, or in `memory` if it must be packed or widened.
pub(crate) fn left<'a, T: Number>(tile: Tile, a: Matrix<'a, T>, memory: &'a mut [f32]) -> Left<'a> {
    let k = a.cols();
    let Some((values, step)) = a.in_rows() else {
        a.t().pack(tile.rows, memory);
        return Left::Panels { values: memory, step: k * tile.rows };
    };
    match T::as_f32(values) {
        Some(values) => Left::Rows { values, step },
        None => copied(values, step, [a.rows(), k], memory),
    }
}

/// As [`left`], for rows that are read many times: those that lie whole pages apart push each other out of the first cache,
/// and are copied to `memory`.
pub(super) fn left_reused<'a, T: Number>(tile: Tile, a: Matrix<'a, T>, memory: &'a mut [f32]) -> Left<'a> {
    match a.in_rows() {
        Some((values, step)) if step.is_multiple_of(PAGE) => copied(values, step, [a.rows(), a.cols()], memory),
        _ => left(tile, a, memory),
    }
}

/// Values after which the first cache begins anew: 4 KiB.
const PAGE: usize = 1 << 10;

/// The rows, one after another in `memory`.
fn copied<'a, T: Number>(values: &[T], step: usize, [rows, k]: [usize; 2], memory: &'a mut [f32]) -> Left<'a> {
    for (i, to) in memory.chunks_mut(k).enumerate().take(rows) {
        T::widen(&values[i * step..][..k], to);
    }
    Left::Rows { values: memory, step: k }
}
