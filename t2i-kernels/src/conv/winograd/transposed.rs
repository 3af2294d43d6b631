//! Transformed tiles with the channels side by side, for sums over the tiles.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::{
    GAP, POINTS,
    grid::{Run, SIDE, within},
    input::{Pictures, Rows, transform, values},
    points,
};
use crate::arch::dispatch;

/// Channels that are put side by side at a time.
const FOUR: usize = 4;

/// What a tile is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// 6x6 values of the input.
    Input,
    /// 4x4 gradients of the output.
    OutputGradient,
}

/// A panel of channels of some tiles.
pub(super) struct Transposed<'a> {
    pub(super) kind: Kind,
    pub(super) pictures: Pictures<'a>,
    pub(super) places: &'a [Run],
    /// At most `width`.
    pub(super) channels: Range<usize>,
    pub(super) width: usize,
    /// Tiles, in whole vectors.
    pub(super) tiles: usize,
    /// `[point, tile, width]`, with a gap after each point.
    pub(super) to: &'a mut [f32],
}

impl Transposed<'_> {
    pub(super) fn run(self) {
        dispatch(self);
    }
}

impl WithSimd for Transposed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for group in (0..self.tiles).step_by(S::F32_LANES) {
            let runs: Vec<Run> = within(self.places, group, S::F32_LANES).collect();
            let inside = self.pictures.inside(simd, &runs);
            let mut memory = Rows::zeros();
            for first in (0..self.width).step_by(FOUR) {
                let mut tiles = [[[simd.splat_f32s(0.0); 6]; 6]; FOUR];
                for (tile, channel) in tiles.iter_mut().zip(self.channels.clone().skip(first)) {
                    let rows = self.pictures.rows::<S>(&runs, channel, &mut memory);
                    *tile = match self.kind {
                        Kind::Input => transform(simd, &rows, inside),
                        Kind::OutputGradient => output_back(simd, &values(simd, &rows, inside)),
                    };
                }
                self.write(simd, group, first, &tiles);
            }
        }
    }
}

impl Transposed<'_> {
    /// Writes four channels, or as many as the panel has left.
    #[inline(always)]
    fn write<S: Simd>(&mut self, simd: S, group: usize, first: usize, tiles: &[[[S::f32s; 6]; 6]; FOUR]) {
        let step = self.tiles * self.width + GAP;
        let mut line = [0.0; FOUR * 16];
        for point in 0..POINTS {
            let (i, j) = (point / 6, point % 6);
            let values = [tiles[0][i][j], tiles[1][i][j], tiles[2][i][j], tiles[3][i][j]];
            for (to, value) in S::as_mut_simd_f32s(&mut line).0.iter_mut().zip(simd.interleave_shfl_f32s(values)) {
                *to = value;
            }
            let to = &mut self.to[point * step + group * self.width..][..S::F32_LANES * self.width];
            for (to, four) in to.chunks_exact_mut(self.width).zip(line.as_chunks::<FOUR>().0) {
                match to[first..].first_chunk_mut() {
                    Some(to) => *to = *four,
                    None => to[first..].iter_mut().zip(four).for_each(|(to, value)| *to = *value),
                }
            }
        }
    }
}

/// `A dY A^T`, where `dY` begins in the second row and column of the values.
#[inline(always)]
fn output_back<S: Simd>(simd: S, values: &[[S::f32s; 6]; 6]) -> [[S::f32s; 6]; 6] {
    let mut rows = [[simd.splat_f32s(0.0); 6]; SIDE];
    for (row, [_, a, b, c, d, _]) in rows.iter_mut().zip(&values[1..]) {
        *row = points::output_back(simd, [*a, *b, *c, *d]);
    }
    let mut tile = [[simd.splat_f32s(0.0); 6]; 6];
    for j in 0..6 {
        let column = points::output_back(simd, [rows[0][j], rows[1][j], rows[2][j], rows[3][j]]);
        for (row, value) in tile.iter_mut().zip(column) {
            row[j] = value;
        }
    }
    tile
}
