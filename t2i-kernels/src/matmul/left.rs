//! Left operands: in place where their rows lie in one piece.

use super::{
    microkernel::{Left, Tile},
    pack::{Matrix, packed_len},
};
use crate::Number;

/// Values of memory for [`left`].
pub(crate) fn left_len(rows: usize, k: usize) -> usize {
    packed_len(k, rows, Tile::here().rows)
}

/// A left operand `[rows, k]`: where it lies, or in `memory` if it must be packed or widened.
pub(crate) fn left<'a, T: Number>(a: Matrix<'a, T>, memory: &'a mut [f32]) -> Left<'a> {
    let k = a.cols();
    let Some((values, step)) = a.in_rows() else {
        let width = Tile::here().rows;
        a.t().pack(width, memory);
        return Left::Panels { values: memory, step: k * width };
    };
    if let Some(values) = T::as_f32(values) {
        return Left::Rows { values, step };
    }
    for (i, to) in memory.chunks_mut(k).enumerate().take(a.rows()) {
        T::widen(&values[i * step..][..k], to);
    }
    Left::Rows { values: memory, step: k }
}
