//! Pictures that do not fit into memory: a codec runs on overlapping tiles, whose seams are blended.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use t2i_core::{Error, Result};

/// How a picture is cut into tiles, measured in latent cells (one cell is `factor` pixels wide).
///
/// Each tile is a picture of its own to the codec: group norms and attention see no farther, so that colours may drift
/// a little from tile to tile. The wider the overlap, the softer the transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    size: usize,
    overlap: usize,
}

impl Tiling {
    /// Tiles of `size` x `size` cells, of which neighbours share `overlap`.
    ///
    /// # Errors
    /// If the overlap is not smaller than the tile.
    pub fn new(size: usize, overlap: usize) -> Result<Self> {
        match overlap < size {
            true => Ok(Self { size, overlap }),
            false => Err(Error::InvalidValue {
                field: "the overlap of tiles",
                value: overlap.to_string(),
                expected: format!("smaller than the tiles' size, {size}"),
            }),
        }
    }

    /// Tiles of at least one cell that share one part in `parts` of their size.
    pub(crate) fn sharing(size: usize, parts: usize) -> Self {
        let size = size.max(1);
        Self { size, overlap: size / parts }
    }

    /// The side of a tile, in cells.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What two neighbours share, in cells.
    pub fn overlap(&self) -> usize {
        self.overlap
    }

    /// Runs `network` on each tile and blends every tile into the one above and then the one to its left.
    ///
    /// As diffusers' `AutoencoderKL.tiled_decode` and `tiled_encode`. A picture of one tile is not cut.
    pub(crate) fn blend_neighbours(
        &self,
        x: Tensor<4>,
        cells: Cells,
        network: impl Fn(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        if self.holds(&x, cells) {
            return network(x);
        }
        let [_, _, height, width] = x.dims();
        let (extent, keep) = (self.overlap * cells.output, (self.size - self.overlap) * cells.output);
        let mut above: Vec<Tensor<4>> = Vec::new();
        let mut rows = Vec::new();
        for top in self.spans(height, cells.input) {
            let mut row: Vec<Tensor<4>> = Vec::new();
            for (column, left) in self.spans(width, cells.input).enumerate() {
                let mut tile = network(cut(&x, &top, &left));
                if let Some(neighbour) = above.get(column) {
                    tile = blend(neighbour, tile, 2, extent);
                }
                if let Some(neighbour) = row.last() {
                    tile = blend(neighbour, tile, 3, extent);
                }
                row.push(tile);
            }
            rows.push(Tensor::cat(row.iter().map(|tile| corner(tile, keep)).collect(), 3));
            above = row;
        }
        Tensor::cat(rows, 2)
    }

    /// Runs `network` on each tile and lays it over those before it, fading in along its upper and left edge.
    ///
    /// As diffusers' `AutoencoderTiny._tiled_decode` and `_tiled_encode`, except that a picture of one tile is not cut.
    pub(crate) fn lay_over(&self, x: Tensor<4>, cells: Cells, network: impl Fn(Tensor<4>) -> Tensor<4>) -> Tensor<4> {
        if self.holds(&x, cells) {
            return network(x);
        }
        let [batch, _, height, width] = x.dims();
        let fade = self.overlap * cells.output;
        let size = [height, width].map(|pixels| cells.map(pixels));
        let mut canvas: Option<Tensor<4>> = None;
        for top in self.spans(height, cells.input) {
            for left in self.spans(width, cells.input) {
                let tile = network(cut(&x, &top, &left));
                let [_, channels, tile_height, tile_width] = tile.dims();
                let (y, x) = (cells.map(top.start), cells.map(left.start));
                let place = [0..batch, 0..channels, y..y + tile_height, x..x + tile_width];
                let device = tile.device();
                let under = canvas.unwrap_or_else(|| Tensor::zeros([batch, channels, size[0], size[1]], &device));
                let mask = fade_in(&top, tile_height, fade, 2, &device) * fade_in(&left, tile_width, fade, 3, &device);
                let mixed = mask.clone() * tile + (-mask + 1.0) * under.clone().slice(place.clone());
                canvas = Some(under.slice_assign(place, mixed));
            }
        }
        canvas.expect("a picture has at least one tile")
    }

    /// Whether one tile is enough.
    fn holds(&self, x: &Tensor<4>, cells: Cells) -> bool {
        let [_, _, height, width] = x.dims();
        height.max(width) <= self.size * cells.input
    }

    /// What the tiles cover of `length`. A rest of less than a cell is no tile: the codec makes nothing of it.
    fn spans(&self, length: usize, cell: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (size, stride) = (self.size * cell, (self.size - self.overlap) * cell);
        (0..length)
            .step_by(stride)
            .filter(move |start| *start == 0 || length - start >= cell)
            .map(move |start| start..(start + size).min(length))
    }
}

/// How wide a latent cell is on both sides of a codec's half: one on the latents' side, `factor` on the pixels'.
#[derive(Clone, Copy)]
pub(crate) struct Cells {
    input: usize,
    output: usize,
}

impl Cells {
    pub(crate) fn encoding(factor: usize) -> Self {
        Self { input: factor, output: 1 }
    }

    pub(crate) fn decoding(factor: usize) -> Self {
        Self { input: 1, output: factor }
    }

    /// From a place in the input to the place in the output.
    fn map(self, place: usize) -> usize {
        place.div_ceil(self.input) * self.output
    }
}

fn cut(x: &Tensor<4>, top: &Range<usize>, left: &Range<usize>) -> Tensor<4> {
    x.clone().slice_dim(2, top.clone()).slice_dim(3, left.clone())
}

/// The upper left corner of a tile, which no later tile changes.
fn corner(tile: &Tensor<4>, keep: usize) -> Tensor<4> {
    let [_, _, height, width] = tile.dims();
    cut(tile, &(0..keep.min(height)), &(0..keep.min(width)))
}

/// `tile`, whose first `extent` rows (`dim` 2) or columns (`dim` 3) come gradually out of the last ones of `before`.
fn blend(before: &Tensor<4>, tile: Tensor<4>, dim: usize, extent: usize) -> Tensor<4> {
    let (length, end) = (tile.dims()[dim], before.dims()[dim]);
    let extent = extent.min(length).min(end);
    if extent == 0 {
        return tile;
    }
    let ramp = along(dim, (0..extent).map(|k| k as f32 / extent as f32).collect(), &tile.device());
    let old = before.clone().slice_dim(dim, end - extent..end);
    let new = tile.clone().slice_dim(dim, 0..extent);
    let mut place = tile.dims().map(|size| 0..size);
    place[dim] = 0..extent;
    tile.slice_assign(place, old * (-ramp.clone() + 1.0) + new * ramp)
}

/// The weights of a tile along `dim`: from 0 to 1 over the first `fade` places, or 1 where nothing lies before it.
fn fade_in(span: &Range<usize>, length: usize, fade: usize, dim: usize, device: &Device) -> Tensor<4> {
    let weight = |k: usize| match span.start == 0 || fade < 2 {
        true => 1.0,
        false => (k as f32 / (fade - 1) as f32).min(1.0),
    };
    along(dim, (0..length).map(weight).collect(), device)
}

/// A tensor whose only dimension longer than 1 is `dim`.
fn along(dim: usize, values: Vec<f32>, device: &Device) -> Tensor<4> {
    let mut shape = [1; 4];
    shape[dim] = values.len();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_as_wide_as_the_tile_is_refused() {
        let message = Tiling::new(8, 8).expect_err("no stride").to_string();
        assert!(message.contains("overlap") && message.contains('8'), "{message}");
    }

    /// A network that looks at no neighbours must not see the seams, whatever the size.
    #[test]
    fn a_pointwise_network_is_the_same_in_tiles() {
        let device = Device::flex();
        let tiling = Tiling::new(8, 2).expect("smaller");
        for (height, width) in [(5, 31), (8, 9), (6, 7), (19, 8), (20, 21), (33, 14)] {
            let values: Vec<_> = (0..height * width).map(|k| (k as f32 * 0.37).sin()).collect();
            let x = Tensor::<4>::from_data(TensorData::new(values, [1, 1, height, width]), &device);
            let cells = Cells::decoding(1);
            for y in [tiling.blend_neighbours(x.clone(), cells, |x| x), tiling.lay_over(x.clone(), cells, |x| x)] {
                assert_eq!(y.dims(), x.dims());
                let error = (y - x.clone()).abs().max().into_scalar::<f32>();
                assert!(error <= 1e-6, "{height} x {width}: {error}");
            }
        }
    }
}
