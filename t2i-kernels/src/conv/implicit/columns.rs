//! What the outputs see, in the order of a matrix product.

use std::ops::Range;

use rayon::prelude::*;

use super::super::shape::Window;
use crate::matmul::Tile;

/// A matrix `[inputs * kernel, pixels of all results]`, of which parts are written when asked for.
pub(super) struct Columns<'a> {
    x: &'a [f32],
    inputs: usize,
    picture: [usize; 2],
    window: Window,
    /// Height and width of a result.
    result: [usize; 2],
}

/// Rows of a panel that a thread packs at a time.
const ROWS: usize = 256;

/// Outputs side by side in a row of a result.
struct Run {
    /// The first one's place in the panel.
    slot: usize,
    count: usize,
    picture: usize,
    y: usize,
    x: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn new(x: &'a [f32], inputs: usize, picture: [usize; 2], window: Window) -> Self {
        Self { x, inputs, picture, window, result: window.output(picture) }
    }

    /// Packs panels `[k, tile.cols]` of some pixels, on all threads. Beyond the pixels there may be anything.
    pub(super) fn pack(&self, pixels: Range<usize>, k: usize, panels: &mut [f32]) {
        let unit = Tile::high().cols;
        panels.par_chunks_mut(k * unit).enumerate().for_each(|(i, panel)| {
            let first = pixels.start + i * unit;
            let runs = self.runs(first..pixels.end.min(first + unit));
            panel.par_chunks_mut(ROWS * unit).enumerate().for_each(|(i, part)| self.pack_rows(&runs, i * ROWS, part));
        });
    }

    /// A panel's rows from `first` on.
    fn pack_rows(&self, runs: &[Run], first: usize, rows: &mut [f32]) {
        let ([high, wide], [height, width]) = (self.window.kernel, self.picture);
        for (k, to) in (first..).zip(rows.chunks_mut(Tile::high().cols)) {
            let (channel, ky, kx) = (k / (high * wide), k / wide % high, k % wide);
            for run in runs {
                let plane = &self.x[(run.picture * self.inputs + channel) * height * width..][..height * width];
                self.copy(plane, run, [ky, kx], &mut to[run.slot..run.slot + run.count]);
            }
        }
    }

    /// The pixels of a panel in runs, none of which leaves its row.
    fn runs(&self, pixels: Range<usize>) -> Vec<Run> {
        let [height, width] = self.result;
        let mut runs = Vec::new();
        let mut at = pixels.start;
        while at < pixels.end {
            let (slot, row, x) = (at - pixels.start, at / width, at % width);
            let count = (width - x).min(pixels.end - at);
            runs.push(Run { slot, count, picture: row / height, y: row % height, x });
            at += count;
        }
        runs
    }

    /// What a run's outputs see at one place of the kernel: zeros outside of the picture.
    #[inline]
    fn copy(&self, plane: &[f32], run: &Run, [ky, kx]: [usize; 2], to: &mut [f32]) {
        let ([down, right], [[top, _], [left, _]]) = (self.window.stride, self.window.padding);
        let [height, width] = self.picture;
        let Some(y) = (run.y * down + ky).checked_sub(top).filter(|y| *y < height) else {
            return to.fill(0.0);
        };
        let row = &plane[y * width..][..width];
        let start = run.x * right + kx; // in the padded picture
        let before = left.saturating_sub(start).div_ceil(right).min(to.len());
        let inside = (left + width).saturating_sub(start).div_ceil(right).clamp(before, to.len());
        to[..before].fill(0.0);
        to[inside..].fill(0.0);
        if before < inside {
            let from = &row[start + before * right - left..];
            copy_strided(from, right, &mut to[before..inside]);
        }
    }
}

/// Copies every `stride`-th value.
#[inline]
fn copy_strided(from: &[f32], stride: usize, to: &mut [f32]) {
    match (stride, to.as_chunks_mut::<PART>()) {
        // A whole panel's width on most CPUs: so few values are copied in place, not by a call.
        (1, ([part], [])) => part.copy_from_slice(&from[..PART]),
        (1, ([first, second], [])) => {
            first.copy_from_slice(&from[..PART]);
            second.copy_from_slice(&from[PART..2 * PART]);
        }
        (1, _) => to.copy_from_slice(&from[..to.len()]),
        _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
    }
}

/// Values that are copied in place.
const PART: usize = 16;
