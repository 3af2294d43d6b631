//! The innermost loops of a matrix product: a tile of the result, held in registers while it is summed.
//!
//! The scheme is that of Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication",
//! <https://doi.org/10.1145/1356052.1356053>, as BLIS arranges it.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::{arch::dispatch, scratch::LINE};

/// Vectors in a row of a tile.
const VECS: usize = 2;
/// Steps of the sums from asking for values of the right operand to their use.
const AHEAD: usize = 16;
/// Values of the right operand that stay in the second cache while one row of tiles after another is computed.
const FEW_VALUES: usize = 1 << 17;

/// The size of a tile of the result on this CPU: both operands are packed in panels of it.
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
    /// As large as the registers hold.
    pub(crate) fn here() -> Self {
        dispatch(Measure)
    }
}

struct Measure;

impl WithSimd for Measure {
    type Output = Tile;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Tile {
        let rows = if S::REGISTER_COUNT >= 32 { 12 } else { 6 };
        Tile { rows, cols: VECS * S::F32_LANES, lanes: S::F32_LANES }
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
        if S::REGISTER_COUNT >= 32 { self.tiles::<S, 12>(simd) } else { self.tiles::<S, 6>(simd) }
    }
}

impl Block<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const MR: usize>(mut self, simd: S) {
        let (rows, cols) = ((0..self.rows).step_by(MR), (0..self.cols).step_by(VECS * S::F32_LANES));
        if self.k * self.cols <= FEW_VALUES {
            let tiles = cols.len();
            for row in rows {
                for (i, col) in cols.clone().enumerate() {
                    self.tile_of::<S, MR>(simd, row, col, MR * i / tiles..MR * (i + 1) / tiles);
                }
            }
        } else {
            for col in cols {
                for row in rows.clone() {
                    self.tile_of::<S, MR>(simd, row, col, 0..if col == 0 { MR } else { 0 });
                }
            }
        }
    }

    /// The tile at `row` and `col`. Of the rows in place that follow those of the tile the CPU is asked to fetch some.
    #[inline(always)]
    fn tile_of<S: Simd, const MR: usize>(&mut self, simd: S, row: usize, col: usize, fetched: Range<usize>) {
        let width = VECS * S::F32_LANES;
        let (b, _) = S::as_simd_f32s(&self.b[col / width * self.b_step..][..self.k * width]);
        let (b, _) = b.as_chunks::<VECS>();
        match self.a {
            Left::Panels { values, step } => {
                let (panel, _) = values[row / MR * step..][..self.k * MR].as_chunks::<MR>();
                self.tile::<S, MR>(simd, panel, b, row, col);
            }
            Left::Lines { values, step } => {
                let (lines, _) = values[row / MR * step..][..self.k.next_multiple_of(LINE) * MR].as_chunks::<LINE>();
                let (panel, _) = lines.as_chunks::<MR>();
                self.tile::<S, MR>(simd, panel, b, row, col);
            }
            Left::Rows { values, step } => {
                let values = &values[row * step..];
                let next = values.as_ptr().wrapping_add((MR + fetched.start) * step);
                let rows = RowsInPlace { values, step, count: self.rows - row, next, fetched: fetched.len() };
                self.tile::<S, MR>(simd, rows, b, row, col);
            }
        }
    }

    /// The tile of these operands, in as few registers as it needs.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize>(
        &mut self,
        simd: S,
        a: impl TileRows,
        b: &[[S::f32s; VECS]],
        row: usize,
        col: usize,
    ) {
        let (rows, wide) = (self.rows - row, self.cols - col > S::F32_LANES);
        match (rows, wide) {
            (7.., true) if MR == 12 && rows <= 8 => self.sum::<S, 8, 2>(simd, a, b, row, col),
            (7.., true) => self.sum::<S, MR, 2>(simd, a, b, row, col),
            (7.., false) => self.sum::<S, MR, 1>(simd, a, b, row, col),
            (5..=6, true) => self.sum::<S, 6, 2>(simd, a, b, row, col),
            (3..=4, true) => self.sum::<S, 4, 2>(simd, a, b, row, col),
            (2, true) => self.sum::<S, 2, 2>(simd, a, b, row, col),
            (_, true) => self.sum::<S, 1, 2>(simd, a, b, row, col),
            (3..=6, false) => self.sum::<S, 6, 1>(simd, a, b, row, col),
            (_, false) => self.sum::<S, 2, 1>(simd, a, b, row, col),
        }
    }

    /// The sums of a tile of `R` rows and `V` vectors, of which those within the result are written.
    #[inline(always)]
    fn sum<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        a: impl TileRows,
        b: &[[S::f32s; VECS]],
        row: usize,
        col: usize,
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        simd.vectorize(Sums { simd, a, b, sums: &mut sums });
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

/// What a tile reads of the left operand.
trait TileRows {
    /// The first `k` columns, cut to `R` rows.
    fn cut<const R: usize>(self, k: usize) -> impl Columns<R>;
}

/// For each step of the sums a value a row.
///
/// No iterator of closures: these would be compiled without the vector instructions of their caller.
trait Columns<const R: usize> {
    fn column(&self, i: usize) -> [f32; R];
}

impl<const MR: usize> TileRows for &[[f32; MR]] {
    #[inline(always)]
    fn cut<const R: usize>(self, k: usize) -> impl Columns<R> {
        &self[..k]
    }
}

impl<const MR: usize, const R: usize> Columns<R> for &[[f32; MR]] {
    #[inline(always)]
    fn column(&self, i: usize) -> [f32; R] {
        let mut column = [0.0; R];
        for (to, value) in column.iter_mut().zip(self[i]) {
            *to = value;
        }
        column
    }
}

impl<const MR: usize> TileRows for &[[[f32; LINE]; MR]] {
    #[inline(always)]
    fn cut<const R: usize>(self, k: usize) -> impl Columns<R> {
        &self[..k.div_ceil(LINE)]
    }
}

impl<const MR: usize, const R: usize> Columns<R> for &[[[f32; LINE]; MR]] {
    #[inline(always)]
    fn column(&self, i: usize) -> [f32; R] {
        let mut column = [0.0; R];
        for (to, line) in column.iter_mut().zip(&self[i / LINE]) {
            *to = line[i % LINE];
        }
        column
    }
}

/// At least `count` rows, `step` values from one to the next.
struct RowsInPlace<'a> {
    values: &'a [f32],
    step: usize,
    count: usize,
    /// Where rows begin that are needed soon, `fetched` of them. There may be none.
    next: *const f32,
    fetched: usize,
}

impl TileRows for RowsInPlace<'_> {
    #[inline(always)]
    fn cut<const R: usize>(self, k: usize) -> impl Columns<R> {
        // In place of rows that are missing the last one is read again; what comes of them is not written.
        let mut rows = [self.values; R];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = &self.values[i.min(self.count - 1) * self.step..][..k];
        }
        ColumnsInPlace { rows, next: self.next, step: self.step, fetched: self.fetched }
    }
}

/// Rows, and those that are needed soon.
struct ColumnsInPlace<'a, const R: usize> {
    rows: [&'a [f32]; R],
    next: *const f32,
    step: usize,
    fetched: usize,
}

impl<const R: usize> Columns<R> for ColumnsInPlace<'_, R> {
    #[inline(always)]
    fn column(&self, i: usize) -> [f32; R] {
        // A line of each in as many steps as it has values.
        if i % LINE < self.fetched {
            fetch::<SECOND>(self.next.wrapping_add(i % LINE * self.step + i));
        }
        let mut column = [0.0; R];
        for (to, row) in column.iter_mut().zip(&self.rows) {
            *to = row[i];
        }
        column
    }
}

/// Asks the CPU to bring a value to a cache, if there is such an address: without it the sums wait for the memory.
#[inline(always)]
fn fetch<const CACHE: i32>(value: *const f32) {
    // SAFETY: a request for an address that does not exist has no effect.
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<CACHE>(value.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// The first cache, as `_MM_HINT_T0` numbers it.
const FIRST: i32 = 3;
/// The second cache, as `_MM_HINT_T1` numbers it.
const SECOND: i32 = 2;

/// The sums over `k` of a tile of `R` rows and `V` vectors.
struct Sums<'a, S: Simd, A, const R: usize, const V: usize> {
    simd: S,
    a: A,
    b: &'a [[S::f32s; VECS]],
    sums: &'a mut [[S::f32s; V]; R],
}

impl<S: Simd, A: TileRows, const R: usize, const V: usize> pulp::NullaryFnOnce for Sums<'_, S, A, R, V> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let simd = self.simd;
        let a = self.a.cut::<R>(self.b.len());
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for (i, b) in self.b.iter().enumerate() {
            for line in (0..VECS * S::F32_LANES).step_by(LINE) {
                fetch::<FIRST>(self.b.as_ptr().wrapping_add(i + AHEAD).cast::<f32>().wrapping_add(line));
            }
            for (sums, a) in sums.iter_mut().zip(a.column(i)) {
                let a = simd.splat_f32s(a);
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = simd.mul_add_f32s(a, *b, *sum);
                }
            }
        }
        *self.sums = sums;
    }
}
