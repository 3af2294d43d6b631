//! Weights in panels, packed once for many products.

use rayon::prelude::*;

use super::{
    microkernel::Tile,
    pack::{Matrix, packed_len},
};
use crate::{Number, scratch::Scratch};

/// Values to spare behind the panels: a vector that begins at a value of a panel ends among them.
const SPARE: usize = 16;

/// A right operand `[k, n]`, packed for this CPU.
pub struct PackedMatrix {
    panels: Scratch,
    k: usize,
    n: usize,
}

impl PackedMatrix {
    /// Packs a right operand `[k, n]`.
    ///
    /// For a layer's weight of the shape `[out, in]` that is `Matrix::new(weight, out, in).t()`.
    pub fn new<T: Number>(b: Matrix<'_, T>) -> Self {
        let (k, n, width) = (b.rows(), b.cols(), Tile::here().cols);
        Self { panels: packed(b, width), k, n }
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
        self.panels.values()
    }
}

impl std::fmt::Debug for PackedMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackedMatrix({} x {})", self.k, self.n)
    }
}

/// A left operand `[m, k]`, packed for this CPU.
pub(crate) struct PackedLeft {
    panels: Scratch,
    m: usize,
    k: usize,
}

impl PackedLeft {
    pub(crate) fn new<T: Number>(a: Matrix<'_, T>) -> Self {
        let (m, k, width) = (a.rows(), a.cols(), Tile::here().rows);
        Self { panels: packed(a.t(), width), m, k }
    }

    pub(crate) fn m(&self) -> usize {
        self.m
    }

    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// The panels from a row on, which is the first of its panel, and from a place in the sums.
    pub(crate) fn panels(&self, row: usize, k: usize) -> &[f32] {
        &self.panels.values()[row * self.k + k * Tile::here().rows..]
    }

    /// Values from one panel to the next.
    pub(crate) fn step(&self) -> usize {
        self.k * Tile::here().rows
    }
}

/// Panels `[b.rows(), width]` in memory of their own.
fn packed<T: Number>(b: Matrix<'_, T>, width: usize) -> Scratch {
    let len = packed_len(b.rows(), b.cols(), width);
    let mut panels = Scratch::of(len + SPARE);
    pack_parallel(b, width, &mut panels.values_mut()[..len]);
    panels
}

/// Packs panels on all threads.
pub(crate) fn pack_parallel<T: Number>(b: Matrix<'_, T>, width: usize, panels: &mut [f32]) {
    let size = (b.rows() * width).max(1);
    panels.par_chunks_mut(size).enumerate().for_each(|(j, panel)| {
        let start = j * width;
        b.col_range(start, width.min(b.cols() - start)).pack(width, panel);
    });
}
