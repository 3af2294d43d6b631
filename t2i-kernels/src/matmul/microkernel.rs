//! The innermost loops of a matrix product: a tile of the result, held in registers while it is summed.
//!
//! The scheme is that of Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication",
//! <https://doi.org/10.1145/1356052.1356053>, as BLIS arranges it.

mod avx512;
mod rows;
mod sums;

use pulp::{Simd, WithSimd};

use self::avx512::is_avx512;
use self::rows::{Panel, PanelOfLines, Rows, RowsInPlace};
use self::sums::Sums;
use crate::{arch::dispatch, prefetch::Soon, scratch::LINE};

/// Values of the right operand that stay in the second cache while one row of tiles after another is computed.
const FEW_VALUES: usize = 1 << 17;

/// Rows and vectors of a tile: a high one, those that load the least for a product, and one for fewer than 32 registers.
const HIGH: [usize; 2] = [12, 2];
const WIDE: [usize; 2] = [6, 4];
const SQUARE: [usize; 2] = [5, 5];
const SMALL: [usize; 2] = [6, 2];
/// Vectors in a row of the result from which on it does not matter that a wide tile leaves some over.
const MANY_VECTORS: usize = 8;

/// The size of a tile of the result on this CPU, as large as the registers hold: both operands are packed in panels of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// Rows: the left operand's panel is `[k, rows]`.
    pub(crate) rows: usize,
    /// Columns: the right operand's panel is `[k, cols]`.
    pub(crate) cols: usize,
    /// Values of a vector.
    pub(crate) lanes: usize,
}

impl Tile {
    /// High and narrow: of few columns hardly any are left over.
    pub(crate) fn high() -> Self {
        dispatch(Measure { columns: 0 })
    }

    /// Wide or square where so many columns fill such tiles, and there is AVX-512: a compiler has not the registers for them, so they are
    /// for where the loop is written as instructions.
    pub(crate) fn for_columns(columns: usize) -> Self {
        dispatch(Measure { columns })
    }
}

struct Measure {
    columns: usize,
}

impl WithSimd for Measure {
    type Output = Tile;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Tile {
        let [rows, vectors] = match self.columns.div_ceil(S::F32_LANES) {
            _ if S::REGISTER_COUNT < 32 => SMALL,
            vectors if !is_avx512::<S>() || vectors == 0 => HIGH,
            vectors if vectors.is_multiple_of(SQUARE[1]) => SQUARE,
            vectors if vectors.is_multiple_of(WIDE[1]) || vectors >= MANY_VECTORS => WIDE,
            _ => HIGH,
        };
        Tile { rows, cols: vectors * S::F32_LANES, lanes: S::F32_LANES }
    }
}

/// What a tile's sum is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    Zero,
    /// What the result holds already.
    Result,
    /// A value a column.
    Columns(&'a [f32]),
    /// A value a row.
    Rows(&'a [f32]),
}

/// How a left operand lies.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// Panels `[k, tile.rows]`, `step` values from one to the next. Rows beyond the last may hold anything finite.
    Panels { values: &'a [f32], step: usize },
    /// Panels `[k / LINE, tile.rows, LINE]`, where `k` is filled up to whole lines, `step` values from one to the next. Rows beyond the
    /// last may hold anything.
    Lines { values: &'a [f32], step: usize },
    /// Rows, `step` values from one to the next. A tile reads so few that they need not be packed.
    Rows { values: &'a [f32], step: usize },
}

/// A left operand times panels of the right one.
pub(crate) struct Block<'a> {
    pub(crate) tile: Tile,
    pub(crate) a: Left<'a>,
    /// Panels `[k, tile.cols]`, `b_step` values from one to the next.
    pub(crate) b: &'a [f32],
    pub(crate) b_step: usize,
    /// Length of the sums.
    pub(crate) k: usize,
    /// The result `[rows, cols]`, `c_step` values from one row to the next.
    pub(crate) c: &'a mut [f32],
    pub(crate) c_step: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) start: Start<'a>,
}

impl Block<'_> {
    /// Computes the result. Where `b` has few values it stays in the second cache while the rows of `a` pass by once; else each
    /// of its panels stays in the first cache while all of `a` passes by.
    pub(crate) fn run(self) {
        dispatch(self);
    }
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.tile.rows {
            _ if S::REGISTER_COUNT < 32 => self.tiles::<S, { SMALL[0] }, { SMALL[1] }>(simd),
            rows if is_avx512::<S>() && rows == WIDE[0] => self.tiles::<S, { WIDE[0] }, { WIDE[1] }>(simd),
            rows if is_avx512::<S>() && rows == SQUARE[0] => self.tiles::<S, { SQUARE[0] }, { SQUARE[1] }>(simd),
            _ => self.tiles::<S, { HIGH[0] }, { HIGH[1] }>(simd),
        }
    }
}

impl Block<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const MR: usize, const W: usize>(mut self, simd: S) {
        let (rows, cols) = ((0..self.rows).step_by(MR), (0..self.cols).step_by(W * S::F32_LANES));
        let (many_rows, many_cols) = (rows.len(), cols.len());
        if self.k * self.cols <= FEW_VALUES {
            for row in rows {
                for (i, col) in cols.clone().enumerate() {
                    let left = self.rows_after::<MR>(row, [i, many_cols]);
                    self.tile_of::<S, MR, W>(simd, [row, col], [left, Soon::NOTHING]);
                }
            }
        } else {
            for col in cols {
                for (i, row) in rows.clone().enumerate() {
                    let left = if col == 0 { self.rows_after::<MR>(row, [0, 1]) } else { Soon::NOTHING };
                    let right = self.panel_after(col, W * S::F32_LANES, [i, many_rows]);
                    self.tile_of::<S, MR, W>(simd, [row, col], [left, right]);
                }
            }
        }
    }

    /// Of the left operand what follows the tile at `row`: the part `i` of `parts`. Beyond the last row others begin, of which this
    /// thread may get the next.
    #[inline(always)]
    fn rows_after<const MR: usize>(&self, row: usize, [i, parts]: [usize; 2]) -> Soon {
        let next = row + MR;
        match self.a {
            Left::Rows { values, step } => {
                let (from, to) = (MR * i / parts, MR * (i + 1) / parts);
                Soon::rows(values.as_ptr().wrapping_add((next + from) * step), step, [to - from, self.k])
            }
            Left::Panels { values, step } | Left::Lines { values, step } => {
                part_of(values.as_ptr().wrapping_add(next / MR * step), self.k * MR, [i, parts])
            }
        }
    }

    /// Of the right operand's panel that follows the one at `col`: the part `i` of `parts`.
    #[inline(always)]
    fn panel_after(&self, col: usize, width: usize, part: [usize; 2]) -> Soon {
        if col + width >= self.cols {
            return Soon::NOTHING;
        }
        part_of(self.b.as_ptr().wrapping_add((col / width + 1) * self.b_step), self.k * width, part)
    }

    /// The tile at a row and a column, which asks for what is needed `soon` of the operands.
    #[inline(always)]
    fn tile_of<S: Simd, const MR: usize, const W: usize>(&mut self, simd: S, at: [usize; 2], soon: [Soon; 2]) {
        let ([row, col], width) = (at, W * S::F32_LANES);
        let (b, _) = S::as_simd_f32s(&self.b[col / width * self.b_step..][..self.k * width]);
        let (b, _) = b.as_chunks::<W>();
        match self.a {
            Left::Panels { values, step } => {
                self.tile::<S, MR, W>(simd, Panel::<MR>(&values[row / MR * step..]), b, at, soon);
            }
            Left::Lines { values, step } => {
                self.tile::<S, MR, W>(simd, PanelOfLines::<MR>(&values[row / MR * step..]), b, at, soon);
            }
            Left::Rows { values, step } => {
                let rows = RowsInPlace { values: &values[row * step..], step, count: self.rows - row };
                self.tile::<S, MR, W>(simd, rows, b, at, soon);
            }
        }
    }

    /// The tile of these operands, in as few registers as it needs.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const W: usize>(
        &mut self,
        simd: S,
        a: impl Rows,
        b: &[[S::f32s; W]],
        at: [usize; 2],
        soon: [Soon; 2],
    ) {
        match (self.cols - at[1]).div_ceil(S::F32_LANES) {
            1 => self.columns::<S, MR, W, 1>(simd, a, b, at, soon),
            2 => self.columns::<S, MR, W, 2>(simd, a, b, at, soon),
            _ => self.columns::<S, MR, W, W>(simd, a, b, at, soon),
        }
    }

    #[inline(always)]
    fn columns<S: Simd, const MR: usize, const W: usize, const V: usize>(
        &mut self,
        simd: S,
        a: impl Rows,
        b: &[[S::f32s; W]],
        at: [usize; 2],
        soon: [Soon; 2],
    ) {
        match self.rows - at[0] {
            5..=8 if MR > 8 => self.sum::<S, 8, W, V>(simd, a, b, at, soon),
            5.. => self.sum::<S, MR, W, V>(simd, a, b, at, soon),
            3..=4 => self.sum::<S, 4, W, V>(simd, a, b, at, soon),
            2 => self.sum::<S, 2, W, V>(simd, a, b, at, soon),
            _ => self.sum::<S, 1, W, V>(simd, a, b, at, soon),
        }
    }

    /// The sums of a tile of `R` rows and `V` vectors, of which those within the result are written.
    #[inline(always)]
    fn sum<S: Simd, const R: usize, const W: usize, const V: usize>(
        &mut self,
        simd: S,
        a: impl Rows,
        b: &[[S::f32s; W]],
        [row, col]: [usize; 2],
        soon: [Soon; 2],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        let first = self.c.as_ptr().wrapping_add(row * self.c_step + col);
        let result = Soon::rows(first, self.c_step, [R.min(self.rows - row), V * S::F32_LANES]);
        let [left, right] = soon;
        simd.vectorize(Sums { simd, a, b, sums: &mut sums, soon: [result, left, right] });
        for (i, sums) in sums.iter().enumerate().take(self.rows - row) {
            self.write_row(simd, sums, row + i, col);
        }
    }

    #[inline(always)]
    fn write_row<S: Simd, const V: usize>(&mut self, simd: S, sums: &[S::f32s; V], row: usize, col: usize) {
        for (v, sum) in sums.iter().enumerate() {
            let col = col + v * S::F32_LANES;
            if col + S::F32_LANES <= self.cols {
                self.write_vector(simd, *sum, row, col);
            } else if col < self.cols {
                self.write_part(simd, *sum, row, col);
            }
        }
    }

    #[inline(always)]
    fn write_vector<S: Simd>(&mut self, simd: S, sum: S::f32s, row: usize, col: usize) {
        let c = &mut self.c[row * self.c_step + col..][..S::F32_LANES];
        let c = &mut S::as_mut_simd_f32s(c).0[0];
        *c = match self.start {
            Start::Zero => sum,
            Start::Result => simd.add_f32s(sum, *c),
            Start::Columns(bias) => simd.add_f32s(sum, S::as_simd_f32s(&bias[col..col + S::F32_LANES]).0[0]),
            Start::Rows(bias) => simd.add_f32s(sum, simd.splat_f32s(bias[row])),
        };
    }

    #[inline(always)]
    fn write_part<S: Simd>(&mut self, simd: S, sum: S::f32s, row: usize, col: usize) {
        let c = &mut self.c[row * self.c_step + col..][..self.cols - col];
        let start = match self.start {
            Start::Zero => simd.splat_f32s(0.0),
            Start::Result => simd.partial_load_f32s(c),
            Start::Columns(bias) => simd.partial_load_f32s(&bias[col..self.cols]),
            Start::Rows(bias) => simd.splat_f32s(bias[row]),
        };
        simd.partial_store_f32s(c, simd.add_f32s(sum, start));
    }
}

/// The part `i` of `parts` of so many values.
#[inline(always)]
fn part_of(first: *const f32, len: usize, [i, parts]: [usize; 2]) -> Soon {
    let lines = len.div_ceil(LINE);
    let (from, to) = (lines * i / parts, lines * (i + 1) / parts);
    Soon::row(first.wrapping_add(from * LINE), (to - from) * LINE)
}
