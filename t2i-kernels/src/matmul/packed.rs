//! Operands in panels.

use rayon::prelude::*;

use super::{
    microkernel::Tile,
    pack::{Matrix, packed_len},
};
use crate::{Number, scratch::Scratch};

/// Values to spare behind the panels: a vector that begins at a value of a panel ends among them.
const SPARE: usize = 16;

/// A left operand `[m, k]`, packed for this CPU.
pub(crate) struct PackedLeft {
    panels: Scratch,
    m: usize,
    k: usize,
}

impl PackedLeft {
    pub(crate) fn new<T: Number>(a: Matrix<'_, T>) -> Self {
        let (m, k, width) = (a.rows(), a.cols(), Tile::here().rows);
        let len = packed_len(k, m, width);
        let mut panels = Scratch::of(len + SPARE);
        pack_parallel(a.t(), width, &mut panels.values_mut()[..len]);
        Self { panels, m, k }
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

/// Packs panels on all threads.
pub(crate) fn pack_parallel<T: Number>(b: Matrix<'_, T>, width: usize, panels: &mut [f32]) {
    let size = (b.rows() * width).max(1);
    panels.par_chunks_mut(size).enumerate().for_each(|(j, panel)| {
        let start = j * width;
        b.col_range(start, width.min(b.cols() - start)).pack(width, panel);
    });
}
