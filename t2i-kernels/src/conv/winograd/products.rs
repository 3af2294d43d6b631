//! The matrix products at the points.

use super::{GAP, POINTS, chunk::Chunk};
use crate::matmul::{Block, Left, Start, Tile};

/// The products of some tiles, for some input and output channels.
pub(super) struct Products<'a> {
    pub(super) chunk: &'a Chunk,
    /// Transformed kernels, `[point, panel]`.
    pub(super) u: &'a [f32],
    pub(super) rows: usize,
    /// Transformed input, `[panel of tiles, chunk, point, channel, tile.cols]`.
    pub(super) v: &'a [f32],
    /// Values from one panel to the next.
    pub(super) panel: usize,
    pub(super) tiles: usize,
    /// Values from one output to the next.
    pub(super) step: usize,
}

impl Products<'_> {
    /// Adds them to the result of the chunks before, `m [point, row, step]`; the first chunk's are the result.
    pub(super) fn add_to(&self, m: &mut [f32]) {
        let (chunk, tile) = (self.chunk, Tile::high());
        let v = &self.v[chunk.input_start()..];
        for (point, m) in m.chunks_exact_mut(result_step(self.rows, self.step)).enumerate() {
            let u = &self.u[point * chunk.kernels_len(self.rows) / POINTS..];
            Block {
                tile,
                a: Left::Lines { values: u, step: chunk.kernel_panel() },
                b: &v[point * chunk.input_step()..],
                b_step: self.panel,
                k: chunk.channels.len(),
                c: m,
                c_step: self.step,
                rows: self.rows,
                cols: self.tiles.next_multiple_of(tile.lanes),
                start: if chunk.channels.start == 0 { Start::Zero } else { Start::Result },
            }
            .run();
        }
    }
}

/// Values from one point of the result to the next.
pub(super) fn result_step(rows: usize, step: usize) -> usize {
    rows * step + GAP
}

/// Values of the result.
pub(super) fn result_len(rows: usize, step: usize) -> usize {
    POINTS * result_step(rows, step)
}
