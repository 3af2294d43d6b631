//! Work split over threads.

use rayon::prelude::*;

/// Numbers of a piece: large against the cost of handing it out, small against a tensor.
const PIECE: [usize; 2] = [1 << 12, 1 << 15];

/// The number of units, each of `len` numbers, that a thread takes at once.
pub(crate) fn piece(units: usize, len: usize) -> usize {
    let even = (units * len).div_ceil(4 * rayon::current_num_threads());
    let numbers = even.clamp(PIECE[0], PIECE[1]).next_multiple_of(16);
    (numbers / len.max(1)).max(1)
}

/// Runs `f` on pieces of `out` of `size` numbers, each with its place: in this thread if there is but one.
pub(crate) fn for_pieces(out: &mut [f32], size: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    if out.len() <= size {
        return f(0, out);
    }
    out.par_chunks_mut(size).enumerate().for_each(|(i, out)| f(i * size, out));
}
