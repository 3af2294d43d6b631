//! Kernels of 3x3 at the points.

use pulp::{Simd, WithSimd};

use super::points;
use crate::{
    Number,
    arch::dispatch,
    matmul::Tile,
    prefetch::{FIRST, prefetch},
    scratch::LINE,
};

/// Kernels of an output channel.
pub(super) struct Kernels<'a, 'b, T> {
    /// `[channel, 3, 3]`.
    pub(super) weight: &'a [T],
    /// For each point a panel `[line, row, channel]`.
    pub(super) u: &'a mut [&'b mut [f32]],
    /// The kernels of the output channel after this one, if there is one.
    pub(super) next: *const T,
    /// The channel's row in the panel.
    pub(super) row: usize,
}

impl<T: Number> Kernels<'_, '_, T> {
    pub(super) fn run(self) {
        dispatch(self);
    }
}

impl<T: Number> WithSimd for Kernels<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = Tile::high().rows;
        let mut memory = [0.0; 9 * LINE];
        let mut columns = [[0.0; LINE]; 9];
        for (i, weight) in self.weight.chunks(9 * LINE).enumerate() {
            let kernels = T::widened(weight, &mut memory).as_chunks::<9>().0;
            for (j, kernel) in kernels.iter().enumerate() {
                for (column, value) in columns.iter_mut().zip(kernel) {
                    column[j] = *value;
                }
            }
            prefetch::<FIRST, _>(self.next.wrapping_add(i * 9 * LINE), 9 * LINE);
            let line = (i * rows + self.row) * LINE;
            for from in (0..LINE).step_by(S::F32_LANES) {
                let mut g = [[simd.splat_f32s(0.0); 3]; 3];
                for (value, column) in g.as_flattened_mut().iter_mut().zip(&columns) {
                    *value = S::as_simd_f32s(&column[from..from + S::F32_LANES]).0[0];
                }
                let tile = transform(simd, g);
                for (u, value) in self.u.iter_mut().zip(tile.as_flattened()) {
                    S::as_mut_simd_f32s(&mut u[line + from..][..S::F32_LANES]).0[0] = *value;
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
