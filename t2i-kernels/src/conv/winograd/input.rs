//! Tiles of the input, transformed.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{
    GAP,
    grid::{Grid, Run, SIDE, within},
    points,
};
use crate::{arch::dispatch, matmul::Tile};

/// Most values of a row of tiles for a vector.
const ROW: usize = SIDE * 16;
/// Rows and columns of a tile of the input.
const INPUT_SIDE: usize = 6;
/// A row above or below the picture.
const ZEROS: [f32; ROW] = [0.0; ROW];

/// Some channels of a panel of tiles.
pub(super) struct Input<'a> {
    pub(super) pictures: Pictures<'a>,
    pub(super) places: &'a [Run],
    pub(super) channels: Range<usize>,
    /// `[point, channel, tile.cols]`, with a gap after each point.
    pub(super) v: &'a mut [f32],
}

impl Input<'_> {
    pub(super) fn run(self) {
        dispatch(self);
    }
}

impl WithSimd for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let unit = Tile::high().cols;
        let step = self.channels.len() * unit + GAP;
        let mut groups = Vec::new();
        for group in (0..unit).step_by(S::F32_LANES) {
            let runs: Vec<Run> = within(self.places, group, S::F32_LANES).collect();
            // Past the last tile there are none: these columns are never read.
            if !runs.is_empty() {
                let inside = self.pictures.inside(simd, &runs);
                groups.push((group, runs, inside));
            }
        }
        let mut memory = Rows::zeros();
        // Planes of channels often lie a power of two apart and push each other out of the caches: one at a time.
        for (i, channel) in self.channels.clone().enumerate() {
            for (group, runs, inside) in &groups {
                let rows = self.pictures.rows::<S>(runs, channel, &mut memory);
                let tile = transform(simd, &rows, *inside);
                for (point, value) in tile.as_flattened().iter().enumerate() {
                    let at = point * step + i * unit + group;
                    S::as_mut_simd_f32s(&mut self.v[at..at + S::F32_LANES]).0[0] = *value;
                }
            }
        }
    }
}

/// A row of tiles: of each the values 0 to 3 (`low`) and 4 to 7 (`high`, of which two are used), a tile after another.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    low: &'a [f32; ROW],
    high: &'a [f32; ROW],
}

/// Memory for the rows of tiles that do not lie side by side.
pub(super) struct Rows {
    low: [[f32; ROW]; INPUT_SIDE],
    high: [[f32; ROW]; INPUT_SIDE],
}

impl Rows {
    pub(super) fn zeros() -> Self {
        Self { low: [[0.0; ROW]; INPUT_SIDE], high: [[0.0; ROW]; INPUT_SIDE] }
    }

    fn row(&self, i: usize) -> Row<'_> {
        Row { low: &self.low[i], high: &self.high[i] }
    }
}

/// What tiles are cut out of.
#[derive(Clone, Copy)]
pub(super) struct Pictures<'a> {
    /// `[batch, channels, height, width]`.
    pub(super) x: &'a [f32],
    pub(super) channels: usize,
    pub(super) grid: &'a Grid,
}

impl Pictures<'_> {
    /// Which of the six columns of each tile lie in the picture.
    #[inline(always)]
    pub(super) fn inside<S: Simd>(&self, simd: S, runs: &[Run]) -> [S::m32s; INPUT_SIDE] {
        let mut rows = Rows::zeros();
        for run in runs {
            for i in 0..SIDE * run.count {
                let flag = |x: usize| f32::from(u8::from((1..=self.grid.width).contains(&x)));
                rows.low[0][SIDE * run.slot + i] = flag(run.x + i);
                rows.high[0][SIDE * run.slot + i] = flag(run.x + i + SIDE);
            }
        }
        let [a, b, c, d, e, f] = six_columns(simd, rows.row(0));
        let one = simd.splat_f32s(1.0);
        [
            simd.equal_f32s(a, one),
            simd.equal_f32s(b, one),
            simd.equal_f32s(c, one),
            simd.equal_f32s(d, one),
            simd.equal_f32s(e, one),
            simd.equal_f32s(f, one),
        ]
    }

    /// The six rows of tiles, from the one above their outputs on, with zeros above and below the picture. What lies to
    /// the left and right of it may be anything.
    #[inline(always)]
    pub(super) fn rows<'r, S: Simd>(
        &'r self,
        runs: &[Run],
        channel: usize,
        memory: &'r mut Rows,
    ) -> [Row<'r>; INPUT_SIDE] {
        if let [run] = runs
            && run.count == S::F32_LANES
            && let Some(rows) = self.in_place(run, channel)
        {
            return rows;
        }
        self.gather(runs, channel, memory);
        std::array::from_fn(|i| memory.row(i))
    }

    /// The rows where they lie, if all that is read with them is there.
    #[inline(always)]
    fn in_place(&self, run: &Run, channel: usize) -> Option<[Row<'_>; INPUT_SIDE]> {
        let (height, width) = (self.grid.height, self.grid.width);
        let plane = (run.picture * self.channels + channel) * height * width;
        let mut rows = [Row { low: &ZEROS, high: &ZEROS }; INPUT_SIDE];
        for (row, y) in rows.iter_mut().zip(run.y..) {
            if (1..=height).contains(&y) {
                let from = self.x.get((plane + (y - 1) * width + run.x).checked_sub(1)?..)?;
                *row = Row { low: from.first_chunk()?, high: from.get(SIDE..)?.first_chunk()? };
            }
        }
        Some(rows)
    }

    /// Copies the rows.
    #[inline(always)]
    fn gather(&self, runs: &[Run], channel: usize, rows: &mut Rows) {
        let (height, width) = (self.grid.height, self.grid.width);
        for run in runs {
            let plane = (run.picture * self.channels + channel) * height * width;
            let slots = SIDE * run.slot..SIDE * (run.slot + run.count);
            for (i, (low, high)) in rows.low.iter_mut().zip(&mut rows.high).enumerate() {
                let (low, high) = (&mut low[slots.clone()], &mut high[slots.clone()]);
                match (run.y + i).checked_sub(1).filter(|y| *y < height) {
                    Some(y) => self.copy_row(plane + y * width + run.x, low, high),
                    None => {
                        low.fill(0.0);
                        high.fill(0.0);
                    }
                }
            }
        }
    }

    /// The values from the one before `at`. Only at either end of `x` are some missing.
    #[inline(always)]
    fn copy_row(&self, at: usize, low: &mut [f32], high: &mut [f32]) {
        let needed = at.wrapping_sub(1)..at + low.len() + SIDE - 1;
        if let Some(from) = self.x.get(needed) {
            copy_fours(from, low);
            copy_fours(&from[SIDE..], high);
        } else {
            let value = |i: usize| self.x.get((at + i).wrapping_sub(1)).copied().unwrap_or(0.0);
            low.iter_mut().enumerate().for_each(|(i, to)| *to = value(i));
            high.iter_mut().enumerate().for_each(|(i, to)| *to = value(i + SIDE));
        }
    }
}

/// Copies whole fours: a call of `memcpy` would cost more.
#[inline(always)]
pub(super) fn copy_fours(from: &[f32], to: &mut [f32]) {
    for (to, from) in to.as_chunks_mut::<SIDE>().0.iter_mut().zip(from.as_chunks::<SIDE>().0) {
        *to = *from;
    }
}

/// `B^T d B` of as many tiles as there are lanes. The order of the tiles is pulp's.
#[inline(always)]
pub(super) fn transform<S: Simd>(
    simd: S,
    rows: &[Row<'_>; INPUT_SIDE],
    inside: [S::m32s; INPUT_SIDE],
) -> [[S::f32s; 6]; 6] {
    let mut tile = values(simd, rows, inside);
    for row in &mut tile {
        *row = points::input(simd, *row);
    }
    for j in 0..6 {
        let column = points::input(simd, [tile[0][j], tile[1][j], tile[2][j], tile[3][j], tile[4][j], tile[5][j]]);
        for (row, value) in tile.iter_mut().zip(column) {
            row[j] = value;
        }
    }
    tile
}

/// The values of as many tiles as there are lanes, with zeros around the picture.
#[inline(always)]
pub(super) fn values<S: Simd>(
    simd: S,
    rows: &[Row<'_>; INPUT_SIDE],
    inside: [S::m32s; INPUT_SIDE],
) -> [[S::f32s; 6]; 6] {
    let zero = simd.splat_f32s(0.0);
    let mut tile = [[zero; 6]; 6];
    for (tile, row) in tile.iter_mut().zip(rows) {
        *tile = six_columns(simd, *row);
        for (value, inside) in tile.iter_mut().zip(inside) {
            *value = simd.select_f32s(inside, *value, zero);
        }
    }
    tile
}

/// The columns of tiles, from rows that lie a tile after another.
#[inline(always)]
fn six_columns<S: Simd>(simd: S, row: Row<'_>) -> [S::f32s; INPUT_SIDE] {
    let ([a, b, c, d], [e, f, ..]) = (four_columns(simd, row.low), four_columns(simd, row.high));
    [a, b, c, d, e, f]
}

#[inline(always)]
fn four_columns<S: Simd>(simd: S, row: &[f32; ROW]) -> [S::f32s; SIDE] {
    let (vectors, _) = S::as_simd_f32s(row);
    simd.deinterleave_shfl_f32s([vectors[0], vectors[1], vectors[2], vectors[3]])
}
