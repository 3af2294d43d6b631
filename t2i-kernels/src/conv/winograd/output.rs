//! Tiles of the output, transformed back.

use pulp::{Simd, WithSimd};

use super::{
    GAP,
    grid::{Grid, Run, SIDE, within},
    input::copy_fours,
    points,
};
use crate::arch::dispatch;

/// Some output channels of some tiles.
pub(super) struct Output<'a, 'b> {
    /// `[point, rows, step]`, with a gap after each point.
    pub(super) m: &'a [f32],
    pub(super) rows: usize,
    pub(super) step: usize,
    pub(super) grid: &'a Grid,
    pub(super) places: &'a [Run],
    pub(super) bias: Option<&'a [f32]>,
    /// `[batch, rows]`, each `[height, width]`.
    pub(super) planes: &'a mut [&'b mut [f32]],
}

impl Output<'_, '_> {
    pub(super) fn run(self) {
        dispatch(self);
    }
}

impl WithSimd for Output<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let tiles = self.places.last().map_or(0, |run| run.slot + run.count);
        let mut lines = [[0.0; SIDE * 16]; SIDE];
        for group in (0..tiles).step_by(S::F32_LANES) {
            let runs: Vec<Run> = within(self.places, group, S::F32_LANES).collect();
            for row in 0..self.rows {
                let bias = simd.splat_f32s(self.bias.map_or(0.0, |bias| bias[row]));
                let tile = self.transform(simd, row, group);
                for (line, mut values) in lines.iter_mut().zip(tile) {
                    for value in &mut values {
                        *value = simd.add_f32s(*value, bias);
                    }
                    let values = simd.interleave_shfl_f32s(values);
                    for (to, value) in S::as_mut_simd_f32s(line).0.iter_mut().zip(values) {
                        *to = value;
                    }
                }
                for run in &runs {
                    self.scatter(run, row, &lines);
                }
            }
        }
    }
}

impl Output<'_, '_> {
    /// `A^T m A` of as many tiles as there are lanes.
    #[inline(always)]
    fn transform<S: Simd>(&self, simd: S, row: usize, group: usize) -> [[S::f32s; SIDE]; SIDE] {
        let mut columns = [[simd.splat_f32s(0.0); 6]; SIDE];
        for i in 0..6 {
            let mut points = [simd.splat_f32s(0.0); 6];
            for (j, point) in points.iter_mut().enumerate() {
                let at = (j * 6 + i) * (self.rows * self.step + GAP) + row * self.step + group;
                *point = S::as_simd_f32s(&self.m[at..at + S::F32_LANES]).0[0];
            }
            for (column, value) in columns.iter_mut().zip(points::output(simd, points)) {
                column[i] = value;
            }
        }
        let mut tile = [[simd.splat_f32s(0.0); SIDE]; SIDE];
        for (line, column) in tile.iter_mut().zip(columns) {
            *line = points::output(simd, column);
        }
        tile
    }

    /// Writes the lines of tiles side by side, as far as they lie in the picture.
    #[inline(always)]
    fn scatter(&mut self, run: &Run, row: usize, lines: &[[f32; SIDE * 16]; SIDE]) {
        let Grid { height, width, .. } = *self.grid;
        let plane = &mut self.planes[run.picture * self.rows + row];
        let count = (SIDE * run.count).min(width - run.x);
        for (line, y) in lines.iter().zip(run.y..height) {
            let (from, to) = (&line[SIDE * run.slot..][..count], &mut plane[y * width + run.x..][..count]);
            copy_fours(from, to);
            let whole = count / SIDE * SIDE;
            for (from, to) in from[whole..].iter().zip(&mut to[whole..]) {
                *to = *from;
            }
        }
    }
}
