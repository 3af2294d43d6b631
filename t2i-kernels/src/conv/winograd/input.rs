//! Tiles of the input, transformed.

use pulp::{Arch, Simd, WithSimd};

use super::{
    POINTS,
    grid::{Grid, Run, SIDE, within},
    points,
};
use crate::matmul::Tile;

/// Most values of a row of tiles for a vector.
const ROW: usize = SIDE * 16;
/// Rows and columns of a tile of the input.
const INPUT_SIDE: usize = 6;

/// Some channels of a panel of tiles.
pub(super) struct Input<'a> {
    /// `[batch, inputs, height, width]`.
    pub(super) x: &'a [f32],
    pub(super) inputs: usize,
    pub(super) grid: &'a Grid,
    pub(super) places: &'a [Run],
    /// The first channel.
    pub(super) first: usize,
    /// `[point, channel, tile.cols]`.
    pub(super) v: &'a mut [f32],
}

impl Input<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Input<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let unit = Tile::here().cols;
        let channels = self.v.len() / (POINTS * unit);
        // Of each tile's row the values 0 to 3 and 4 to 5, a tile after another.
        let mut low = [[0.0; ROW]; INPUT_SIDE];
        let mut high = [[0.0; ROW]; INPUT_SIDE];
        for group in (0..unit).step_by(S::F32_LANES) {
            let runs: Vec<Run> = within(self.places, group, S::F32_LANES).collect();
            for c in 0..channels {
                for run in &runs {
                    self.gather(run, self.first + c, &mut low, &mut high);
                }
                let tile = transform(simd, &low, &high);
                for (point, value) in tile.as_flattened().iter().enumerate() {
                    let at = (point * channels + c) * unit + group;
                    S::as_mut_simd_f32s(&mut self.v[at..at + S::F32_LANES]).0[0] = *value;
                }
            }
        }
    }
}

impl Input<'_> {
    /// The values of tiles side by side, with zeros around the picture.
    #[inline(always)]
    fn gather(&self, run: &Run, channel: usize, low: &mut [[f32; ROW]; 6], high: &mut [[f32; ROW]; 6]) {
        let (height, width) = (self.grid.height, self.grid.width);
        let plane = &self.x[(run.picture * self.inputs + channel) * height * width..][..height * width];
        let slots = SIDE * run.slot..SIDE * (run.slot + run.count);
        for (i, (low, high)) in low.iter_mut().zip(high).enumerate() {
            let (low, high) = (&mut low[slots.clone()], &mut high[slots.clone()]);
            match (run.y + i).checked_sub(1).filter(|y| *y < height) {
                Some(y) => {
                    let row = &plane[y * width..][..width];
                    copy_before(row, run.x, low);
                    copy(row, run.x + 3, high);
                }
                None => {
                    low.fill(0.0);
                    high.fill(0.0);
                }
            }
        }
    }
}

/// The values from the one before `x`.
#[inline(always)]
fn copy_before(row: &[f32], x: usize, to: &mut [f32]) {
    match x.checked_sub(1) {
        Some(x) => copy(row, x, to),
        None => {
            to[0] = 0.0;
            copy(row, 0, &mut to[1..]);
        }
    }
}

/// The values from `x` on, then zeros.
#[inline(always)]
fn copy(row: &[f32], x: usize, to: &mut [f32]) {
    let count = row.len().saturating_sub(x).min(to.len());
    to[..count].copy_from_slice(&row[x.min(row.len())..][..count]);
    to[count..].fill(0.0);
}

/// `B^T d B` of as many tiles as there are lanes. The order of the tiles is pulp's.
#[inline(always)]
fn transform<S: Simd>(simd: S, low: &[[f32; ROW]; 6], high: &[[f32; ROW]; 6]) -> [[S::f32s; 6]; 6] {
    let mut tile = [[simd.splat_f32s(0.0); 6]; 6];
    for (tile, (low, high)) in tile.iter_mut().zip(low.iter().zip(high)) {
        let [a, b, c, d] = columns(simd, low);
        let [e, f, ..] = columns(simd, high);
        *tile = points::input(simd, [a, b, c, d, e, f]);
    }
    for j in 0..6 {
        let column = points::input(simd, tile.map(|row| row[j]));
        tile.iter_mut().zip(column).for_each(|(row, value)| row[j] = value);
    }
    tile
}

/// Columns of 4 from values that lie a tile after another.
#[inline(always)]
fn columns<S: Simd>(simd: S, row: &[f32; ROW]) -> [S::f32s; SIDE] {
    let (vectors, _) = S::as_simd_f32s(row);
    simd.deinterleave_shfl_f32s([vectors[0], vectors[1], vectors[2], vectors[3]])
}
