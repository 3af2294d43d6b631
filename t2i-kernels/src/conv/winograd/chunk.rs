//! The input channels in chunks, and how much each takes at the points.

use std::ops::Range;

use super::{GAP, POINTS};
use crate::{matmul::Tile, scratch::LINE};

/// Input channels that are summed between two stores.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) channels: Range<usize>,
    /// All chunks before this one are as large.
    size: usize,
}

impl Chunk {
    /// All channels in chunks of at most `most`, and of about as many.
    pub(super) fn all(channels: usize, most: usize) -> Vec<Self> {
        let size = channels.div_ceil(channels.div_ceil(most));
        let starts = (0..channels).step_by(size);
        starts.map(|start| Self { channels: start..channels.min(start + size), size }).collect()
    }

    /// Values of a panel of transformed kernels at a point, `[line, row, channel]`, with a gap.
    pub(super) fn kernel_panel(&self) -> usize {
        self.channels.len().next_multiple_of(LINE) * Tile::high().rows + GAP
    }

    /// Values of transformed kernels, `[point, panel]`.
    pub(super) fn kernels_len(&self, rows: usize) -> usize {
        POINTS * rows.div_ceil(Tile::high().rows) * self.kernel_panel()
    }

    /// For each panel of transformed kernels its points.
    pub(super) fn kernel_panels<'a>(&self, rows: usize, u: &'a mut [f32]) -> Vec<Vec<&'a mut [f32]>> {
        let mut panels: Vec<Vec<_>> = Vec::new();
        panels.resize_with(rows.div_ceil(Tile::high().rows), || Vec::with_capacity(POINTS));
        for (i, piece) in u.chunks_exact_mut(self.kernel_panel()).enumerate() {
            let count = panels.len();
            panels[i % count].push(piece);
        }
        panels
    }

    /// Values of a panel of transformed input.
    pub(super) fn input_len(&self) -> usize {
        POINTS * self.input_step()
    }

    /// Values of a panel of all channels.
    pub(super) fn panel(chunks: &[Self]) -> usize {
        chunks.iter().map(Self::input_len).sum()
    }

    /// Values from one point of it to the next.
    pub(super) fn input_step(&self) -> usize {
        self.channels.len() * Tile::high().cols + GAP
    }

    /// Where this chunk begins in a panel of all channels, `[chunk, point, channel, tile.cols]`.
    pub(super) fn input_start(&self) -> usize {
        let before = Self { channels: 0..self.size, size: self.size };
        self.channels.start / self.size * before.input_len()
    }
}
