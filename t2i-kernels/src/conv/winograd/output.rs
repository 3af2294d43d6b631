//! Tiles of the output, transformed back.

use pulp::{Arch, Simd, WithSimd};

use super::grid::{Grid, Run, SIDE, within};

/// Some output channels of some tiles.
pub(super) struct Output<'a, 'b> {
    /// `[point, rows, step]`.
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
        Arch::new().dispatch(self);
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
                for (line, values) in lines.iter_mut().zip(tile) {
                    let values = simd.interleave_shfl_f32s(values.map(|value| simd.add_f32s(value, bias)));
                    S::as_mut_simd_f32s(line).0.iter_mut().zip(values).for_each(|(to, value)| *to = value);
                }
                runs.iter().for_each(|run| self.scatter(run, row, &lines));
            }
        }
    }
}

impl Output<'_, '_> {
    /// `A^T m A` of as many tiles as there are lanes.
    #[inline(always)]
    fn transform<S: Simd>(&self, simd: S, row: usize, group: usize) -> [[S::f32s; SIDE]; SIDE] {
        let size = self.rows * self.step;
        let point = |i: usize| S::as_simd_f32s(&self.m[i * size + row * self.step + group..][..S::F32_LANES]).0[0];
        let mut columns = [[simd.splat_f32s(0.0); SIDE]; 6];
        for (i, column) in columns.iter_mut().enumerate() {
            *column = points_of_column(simd, i, point);
        }
        let mut tile = [[simd.splat_f32s(0.0); SIDE]; SIDE];
        for (i, line) in tile.iter_mut().enumerate() {
            *line = super::points::output(simd, columns.map(|column| column[i]));
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
            plane[y * width + run.x..][..count].copy_from_slice(&line[SIDE * run.slot..][..count]);
        }
    }
}

/// The points of a column, transformed.
#[inline(always)]
fn points_of_column<S: Simd>(simd: S, column: usize, point: impl Fn(usize) -> S::f32s) -> [S::f32s; SIDE] {
    let at = |row: usize| point(row * 6 + column);
    super::points::output(simd, [at(0), at(1), at(2), at(3), at(4), at(5)])
}
