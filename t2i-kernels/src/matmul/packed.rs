//! Weights in panels, packed once for many products.

use rayon::prelude::*;

use super::{
    microkernel::Tile,
    pack::{Matrix, packed_len},
};
use crate::scratch::aligned;

/// A right operand `[k, n]`, packed for this CPU.
pub struct PackedMatrix {
    /// With some values to spare, so that the panels begin at a line of the cache.
    values: Vec<f32>,
    skipped: usize,
    k: usize,
    n: usize,
}

impl PackedMatrix {
    /// Packs a right operand `[k, n]`.
    ///
    /// For a layer's weight of the shape `[out, in]` that is `Matrix::new(weight, out, in).t()`.
    pub fn new(b: Matrix<'_>) -> Self {
        let (k, n, width) = (b.rows(), b.cols(), Tile::here().cols);
        let len = packed_len(k, n, width);
        let mut values = vec![0.0; len + 16];
        let skipped = values.len() - aligned(&mut values).len();
        pack_parallel(b, width, &mut values[skipped..][..len]);
        Self { values, skipped, k, n }
    }

    /// Length of the sums: `in` of a layer.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns of the result: `out` of a layer.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The panels `[k, tile.cols]`, one after another.
    pub(crate) fn panels(&self) -> &[f32] {
        &self.values[self.skipped..]
    }
}

impl std::fmt::Debug for PackedMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackedMatrix({} x {})", self.k, self.n)
    }
}

/// Packs panels on all threads.
pub(crate) fn pack_parallel(b: Matrix<'_>, width: usize, panels: &mut [f32]) {
    let size = (b.rows() * width).max(1);
    panels.par_chunks_mut(size).enumerate().for_each(|(j, panel)| {
        let start = j * width;
        b.col_range(start, width.min(b.cols() - start)).pack(width, panel);
    });
}
