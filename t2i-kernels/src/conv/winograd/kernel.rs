//! Kernels of 3x3 at the points.

use pulp::{Arch, Simd, WithSimd};

use super::{GAP, points};
use crate::matmul::Tile;

/// Kernels of a panel of outputs.
pub(super) struct Kernels<'a> {
    pub(super) channels: usize,
    /// `[channel, 3, 3, tile.rows]`, and a vector more.
    pub(super) weight: &'a [f32],
    /// `[point, channel, tile.rows]`, with a gap after each point.
    pub(super) u: &'a mut [f32],
}

impl Kernels<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Kernels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (rows, channels) = (Tile::here().rows, self.channels);
        let step = channels * rows + GAP;
        // A vector may reach beyond the rows: what it writes there is written again, or lies in the gap.
        for row in (0..rows).step_by(S::F32_LANES) {
            for c in 0..channels {
                let kernels = &self.weight[c * 9 * rows + row..][..8 * rows + S::F32_LANES];
                let mut g = [[simd.splat_f32s(0.0); 3]; 3];
                for (i, value) in g.as_flattened_mut().iter_mut().enumerate() {
                    *value = S::as_simd_f32s(&kernels[i * rows..i * rows + S::F32_LANES]).0[0];
                }
                let u = transform(simd, g);
                for (i, value) in u.as_flattened().iter().enumerate() {
                    let at = i * step + c * rows + row;
                    S::as_mut_simd_f32s(&mut self.u[at..at + S::F32_LANES]).0[0] = *value;
                }
            }
        }
    }
}

/// `G g G^T`, `[row, column]`.
#[inline(always)]
fn transform<S: Simd>(simd: S, g: [[S::f32s; 3]; 3]) -> [[S::f32s; 6]; 6] {
    let mut columns = [[simd.splat_f32s(0.0); 3]; 6]; // [point, column]
    for j in 0..3 {
        for (row, value) in columns.iter_mut().zip(points::kernel(simd, [g[0][j], g[1][j], g[2][j]])) {
            row[j] = value;
        }
    }
    let mut u = [[simd.splat_f32s(0.0); 6]; 6];
    for (u, row) in u.iter_mut().zip(columns) {
        *u = points::kernel(simd, row);
    }
    u
}
