//! The gradient of a 3x3 convolution with respect to its weight, with a quarter of the products.
//!
//! Each step of the convolution passed back: the gradient of the output goes to the points, 36 matrix products sum over
//! the tiles, and the gradients at the points go to the kernels.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    GAP, POINTS,
    grid::{Grid, Run},
    input::Pictures,
    points,
    transposed::{Kind, Transposed},
};
use crate::{
    arch::dispatch,
    matmul::{Block, Left, Start, Tile},
    scratch::with_scratch,
};

/// Values of gradients of kernels, at the points, that are kept at a time.
const KERNEL_VALUES: usize = 4 << 20;
/// Values of gradients of outputs, at the points, that are kept at a time.
const OUTPUT_VALUES: usize = 2 << 20;

/// The gradient with respect to the weight of a convolution of 3x3, stride 1 and padding 1.
pub(in super::super) struct WeightGradient<'a> {
    /// `[batch, inputs, height, width]`.
    pub(in super::super) x: &'a [f32],
    /// `[batch, outputs, height, width]`.
    pub(in super::super) dout: &'a [f32],
    pub(in super::super) outputs: usize,
    pub(in super::super) inputs: usize,
    pub(in super::super) picture: [usize; 2],
}

impl WeightGradient<'_> {
    /// Writes the gradient, `dweight [outputs, inputs, 3, 3]`.
    pub(in super::super) fn run(&self, dweight: &mut [f32]) {
        let [height, width] = self.picture;
        let grid = Grid { batch: self.x.len() / (self.inputs * height * width), height, width };
        let unit = Tile::high().cols;
        let most = (KERNEL_VALUES / (POINTS * self.outputs)).next_multiple_of(unit);
        let tiles = (OUTPUT_VALUES / (POINTS * self.outputs)).clamp(64, 128).next_multiple_of(Tile::high().lanes);
        for first in (0..self.inputs).step_by(most) {
            let channels = first..self.inputs.min(first + most);
            let panel = POINTS * self.point_step();
            with_scratch(panel * channels.len().div_ceil(unit), |du| {
                for first in (0..grid.tiles()).step_by(tiles) {
                    let end = grid.tiles().min(first + tiles);
                    Panels::new(self, &grid, channels.clone(), first..end).add_products(du);
                }
                dweight.par_chunks_mut(9 * self.inputs).enumerate().for_each(|(row, dweight)| {
                    let dweight = &mut dweight[9 * channels.start..9 * channels.end];
                    Kernels { du, panel, step: self.point_step(), row, dweight }.run();
                });
            });
        }
    }

    /// Values from one point's gradients to the next, in a panel of channels.
    fn point_step(&self) -> usize {
        self.outputs * Tile::high().cols + GAP
    }
}

/// Some tiles for some channels.
struct Panels<'a> {
    of: &'a WeightGradient<'a>,
    grid: &'a Grid,
    channels: Range<usize>,
    /// The first tile.
    first: usize,
    places: Vec<Run>,
    /// Tiles in whole vectors.
    tiles: usize,
}

impl<'a> Panels<'a> {
    fn new(of: &'a WeightGradient<'a>, grid: &'a Grid, channels: Range<usize>, tiles: Range<usize>) -> Self {
        let places = grid.places(tiles.start, tiles.len());
        let count = tiles.len().next_multiple_of(Tile::high().lanes);
        Self { of, grid, channels, first: tiles.start, places, tiles: count }
    }

    /// `du [panel of channels, point, output, tile.cols]`.
    fn add_products(&self, du: &mut [f32]) {
        let tile = Tile::high();
        let (left, right) = (self.panel(tile.rows), self.panel(tile.cols));
        let lefts = left * self.of.outputs.div_ceil(tile.rows);
        with_scratch(lefts + right * self.channels.len().div_ceil(tile.cols), |memory| {
            let (a, b) = memory.split_at_mut(lefts);
            self.transform(Kind::OutputGradient, self.of.dout, self.of.outputs, 0..self.of.outputs, a);
            self.transform(Kind::Input, self.of.x, self.of.inputs, self.channels.clone(), b);
            du.par_chunks_mut(self.of.point_step()).enumerate().for_each(|(i, c)| {
                let (panel, point) = (i / POINTS, i % POINTS);
                Block {
                    tile,
                    a: Left::Panels { values: &a[point * left / POINTS..], step: left },
                    b: &b[panel * right + point * right / POINTS..],
                    b_step: right,
                    k: self.tiles,
                    c,
                    c_step: tile.cols,
                    rows: self.of.outputs,
                    cols: tile.cols,
                    start: if self.first == 0 { Start::Zero } else { Start::Result },
                }
                .run();
            });
        });
    }

    /// Values of a panel of so many channels.
    fn panel(&self, width: usize) -> usize {
        POINTS * (self.tiles * width + GAP)
    }

    /// The tiles at the points, in panels of the width of a tile of the product.
    fn transform(&self, kind: Kind, x: &[f32], all: usize, channels: Range<usize>, to: &mut [f32]) {
        let width = match kind {
            Kind::OutputGradient => Tile::high().rows,
            Kind::Input => Tile::high().cols,
        };
        let pictures = Pictures { x, channels: all, grid: self.grid };
        to.par_chunks_mut(self.panel(width)).enumerate().for_each(|(i, to)| {
            let first = channels.start + i * width;
            let channels = first..channels.end.min(first + width);
            Transposed { kind, pictures, places: &self.places, channels, width, tiles: self.tiles, to }.run();
        });
    }
}

/// The kernels of an output, from the gradients at the points.
struct Kernels<'a> {
    /// `[panel of channels, point, output, tile.cols]`.
    du: &'a [f32],
    panel: usize,
    step: usize,
    row: usize,
    /// `[channel, 3, 3]`.
    dweight: &'a mut [f32],
}

impl Kernels<'_> {
    fn run(self) {
        dispatch(self);
    }
}

impl WithSimd for Kernels<'_> {
    type Output = ();

    /// `G^T dU G`.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let unit = Tile::high().cols;
        for (i, kernels) in self.dweight.chunks_mut(9 * S::F32_LANES).enumerate() {
            let channel = i * S::F32_LANES;
            let at = channel / unit * self.panel + self.row * unit + channel % unit;
            let mut columns = [[simd.splat_f32s(0.0); 6]; 3];
            for j in 0..6 {
                let mut column = [simd.splat_f32s(0.0); 6];
                for (k, value) in column.iter_mut().enumerate() {
                    *value = S::as_simd_f32s(&self.du[at + (k * 6 + j) * self.step..][..S::F32_LANES]).0[0];
                }
                for (row, value) in columns.iter_mut().zip(points::kernel_back(simd, column)) {
                    row[j] = value;
                }
            }
            for (k, row) in columns.iter().enumerate() {
                for (j, value) in points::kernel_back(simd, *row).iter().enumerate() {
                    let mut lanes = [0.0; 16];
                    S::as_mut_simd_f32s(&mut lanes).0[0] = *value;
                    for (kernel, value) in kernels.as_chunks_mut::<9>().0.iter_mut().zip(lanes) {
                        kernel[3 * k + j] = value;
                    }
                }
            }
        }
    }
}
