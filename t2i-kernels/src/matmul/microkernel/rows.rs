//! What a tile reads of the left operand, however it lies.

use crate::scratch::LINE;

/// Rows of the left operand.
pub(super) trait Rows {
    /// The first `k` values of `R` rows.
    fn cut<const R: usize>(self, k: usize) -> impl Lines<R>;

    /// The rows where they lie, if it is so, and there are at least `R`.
    fn in_place<const R: usize>(&self) -> Option<&RowsInPlace<'_>> {
        None
    }
}

/// For each step of the sums a value a row.
///
/// No iterator of closures: these would be compiled without the vector instructions of their caller.
pub(super) trait Lines<const R: usize> {
    /// As many steps as a line of the cache has values.
    fn line(&self, line: usize) -> impl Line<R>;

    /// Step `i` of those that are left after the whole lines.
    fn last(&self, i: usize) -> [f32; R];
}

/// Some steps of the sums.
pub(super) trait Line<const R: usize> {
    /// Step `i` of them.
    fn column(&self, i: usize) -> [f32; R];
}

/// A panel `[k, MR]`.
pub(super) struct Panel<'a, const MR: usize>(pub(super) &'a [f32]);

impl<const MR: usize> Rows for Panel<'_, MR> {
    #[inline(always)]
    fn cut<const R: usize>(self, k: usize) -> impl Lines<R> {
        let (columns, _) = self.0[..k * MR].as_chunks::<MR>();
        columns.as_chunks::<LINE>()
    }
}

/// Of a panel, whole lines of columns and the columns that are left.
type PanelColumns<'a, const MR: usize> = (&'a [[[f32; MR]; LINE]], &'a [[f32; MR]]);

impl<const MR: usize, const R: usize> Lines<R> for PanelColumns<'_, MR> {
    #[inline(always)]
    fn line(&self, line: usize) -> impl Line<R> {
        &self.0[line]
    }

    #[inline(always)]
    fn last(&self, i: usize) -> [f32; R] {
        first(&self.1[i])
    }
}

impl<const MR: usize, const R: usize> Line<R> for &[[f32; MR]; LINE] {
    #[inline(always)]
    fn column(&self, i: usize) -> [f32; R] {
        first(&self[i])
    }
}

#[inline(always)]
fn first<const R: usize>(column: &[f32]) -> [f32; R] {
    let mut values = [0.0; R];
    values.copy_from_slice(&column[..R]);
    values
}

/// A panel `[k / LINE, MR, LINE]`.
pub(super) struct PanelOfLines<'a, const MR: usize>(pub(super) &'a [f32]);

impl<const MR: usize> Rows for PanelOfLines<'_, MR> {
    #[inline(always)]
    fn cut<const R: usize>(self, k: usize) -> impl Lines<R> {
        let (lines, _) = self.0[..k.next_multiple_of(LINE) * MR].as_chunks::<LINE>();
        lines.as_chunks::<MR>().0
    }
}

impl<const MR: usize, const R: usize> Lines<R> for &[[[f32; LINE]; MR]] {
    #[inline(always)]
    fn line(&self, line: usize) -> impl Line<R> {
        self[line].first_chunk::<R>().expect("no more rows than a panel has").each_ref()
    }

    #[inline(always)]
    fn last(&self, i: usize) -> [f32; R] {
        Lines::<R>::line(self, self.len() - 1).column(i)
    }
}

/// At least `count` rows, `step` values from one to the next.
pub(super) struct RowsInPlace<'a> {
    pub(super) values: &'a [f32],
    pub(super) step: usize,
    pub(super) count: usize,
}

impl Rows for RowsInPlace<'_> {
    #[inline(always)]
    fn cut<const R: usize>(self, k: usize) -> impl Lines<R> {
        let mut rows: [LinesOfRow<'_>; R] = [(&[], &[]); R];
        for (i, row) in rows.iter_mut().enumerate() {
            // In place of rows that are missing the last one is read again; what comes of them is not written.
            *row = self.values[i.min(self.count - 1) * self.step..][..k].as_chunks();
        }
        rows
    }

    #[inline(always)]
    fn in_place<const R: usize>(&self) -> Option<&RowsInPlace<'_>> {
        (self.count >= R).then_some(self)
    }
}

/// The whole lines of a row, and the values that are left.
type LinesOfRow<'a> = (&'a [[f32; LINE]], &'a [f32]);

impl<const R: usize> Lines<R> for [LinesOfRow<'_>; R] {
    #[inline(always)]
    fn line(&self, line: usize) -> impl Line<R> {
        let mut all = [&[0.0; LINE]; R];
        for (to, (lines, _)) in all.iter_mut().zip(self) {
            *to = &lines[line];
        }
        all
    }

    #[inline(always)]
    fn last(&self, i: usize) -> [f32; R] {
        let mut column = [0.0; R];
        for (to, (_, rest)) in column.iter_mut().zip(self) {
            *to = rest[i];
        }
        column
    }
}

impl<const R: usize> Line<R> for [&[f32; LINE]; R] {
    #[inline(always)]
    fn column(&self, i: usize) -> [f32; R] {
        let mut column = [0.0; R];
        for (to, line) in column.iter_mut().zip(self) {
            *to = line[i];
        }
        column
    }
}
