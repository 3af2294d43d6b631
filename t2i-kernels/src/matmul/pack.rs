//! Operands in the order in which the innermost loops read them.

use rayon::prelude::*;

use crate::{
    Number,
    rearrange::{SIDE, transposed},
};

/// A matrix that lies in a slice, element `[i, j]` at `i * row_step + j * col_step`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T = f32> {
    values: &'a [T],
    rows: usize,
    cols: usize,
    row_step: usize,
    col_step: usize,
}

impl<'a, T: Number> Matrix<'a, T> {
    /// `[rows, cols]`, one row after another.
    ///
    /// # Panics
    ///
    /// If there are not `rows * cols` values.
    pub fn new(values: &'a [T], rows: usize, cols: usize) -> Self {
        assert_eq!(values.len(), rows * cols, "a matrix of {rows} rows and {cols} columns");
        Self::with_step(values, rows, cols, cols)
    }

    /// `[rows, cols]`, where each row begins `step` values after the last: a part of a wider matrix.
    ///
    /// # Panics
    ///
    /// If rows overlap (`step < cols`), or if the last row ends beyond the values.
    pub fn with_step(values: &'a [T], rows: usize, cols: usize, step: usize) -> Self {
        assert!(step >= cols, "rows of {cols} columns, {step} values apart, overlap");
        let needed = if rows == 0 { 0 } else { (rows - 1) * step + cols };
        assert!(values.len() >= needed, "{rows} rows, {step} values apart, of {} values", values.len());
        Self { values, rows, cols, row_step: step, col_step: 1 }
    }

    /// The transposed matrix, without a copy.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_step: self.col_step, col_step: self.row_step, ..self }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The values and the step from one row to the next, where the values of a row lie side by side.
    pub(super) fn in_rows(&self) -> Option<(&'a [T], usize)> {
        (self.col_step == 1).then_some((self.values, self.row_step))
    }

    /// The rows from `start`, `rows` of them.
    pub(crate) fn row_range(self, start: usize, rows: usize) -> Self {
        Self { values: &self.values[(start * self.row_step).min(self.values.len())..], rows, ..self }
    }

    /// The columns from `start`, `cols` of them.
    pub(crate) fn col_range(self, start: usize, cols: usize) -> Self {
        self.t().row_range(start, cols).t()
    }

    /// Panels `[rows, width]` of columns, one after another, filled up with zeros.
    pub(crate) fn pack(self, width: usize, panels: &mut [f32]) {
        let size = (self.rows * width).max(1);
        for (panel, start) in panels.chunks_exact_mut(size).zip((0..self.cols).step_by(width)) {
            self.col_range(start, width.min(self.cols - start)).pack_panel(width, panel);
        }
    }

    /// One panel `[rows, width]`.
    fn pack_panel(self, width: usize, panel: &mut [f32]) {
        if self.cols < width {
            panel.fill(0.0);
        }
        if self.col_step == 1 {
            for (i, to) in panel.chunks_exact_mut(width).enumerate() {
                T::widen(&self.values[i * self.row_step..][..self.cols], &mut to[..self.cols]);
            }
        } else {
            self.transpose(width, panel);
        }
    }

    /// One panel, where the values of a row do not lie side by side: some rows at a time, which stay in the first cache
    /// while one column after another is written.
    fn transpose(self, width: usize, panel: &mut [f32]) {
        for (i, to) in panel.chunks_mut(ROWS * width).enumerate() {
            let block = self.row_range(i * ROWS, to.len() / width);
            for j in (0..self.cols).step_by(4) {
                let columns = block.col_range(j, 4.min(self.cols - j));
                match columns.four() {
                    Some(four) => write_four(four, width, &mut to[j..]),
                    None => columns.write_all(width, &mut to[j..]),
                }
            }
        }
    }

    /// The columns, if there are four whose values lie side by side.
    fn four(self) -> Option<[&'a [T]; 4]> {
        let column = |j| &self.values[j * self.col_step..][..self.rows];
        (self.cols == 4 && self.row_step == 1).then(|| [0, 1, 2, 3].map(column))
    }

    /// The values, row by row.
    fn write_all(self, width: usize, to: &mut [f32]) {
        for (i, to) in to.chunks_mut(width).enumerate() {
            for (j, to) in to.iter_mut().enumerate().take(self.cols) {
                *to = self.values[i * self.row_step + j * self.col_step].into();
            }
        }
    }
}

/// Rows of a panel that are transposed at a time.
const ROWS: usize = 128;

/// Up to [`ROWS`] values of each column.
fn write_four<T: Number>(columns: [&[T]; 4], width: usize, to: &mut [f32]) {
    let mut memory = [[0.0; ROWS]; 4];
    let mut columns = columns.into_iter().zip(&mut memory).map(|(from, memory)| T::widened(from, memory));
    let [a, b, c, d] = std::array::from_fn(|_| columns.next().expect("four"));
    let squares = [a, b, c, d].map(|column| column.as_chunks::<SIDE>().0);
    let squares = squares[0].iter().zip(squares[1]).zip(squares[2].iter().zip(squares[3]));
    let mut lines = to.chunks_mut(width);
    for ((a, b), (c, d)) in squares {
        for (line, to) in transposed([*a, *b, *c, *d]).iter().zip(&mut lines) {
            to[..SIDE].copy_from_slice(line);
        }
    }
    let whole = a.len() - a.len() % SIDE;
    for (i, to) in lines.enumerate().take(a.len() - whole) {
        to[..SIDE].copy_from_slice(&[a, b, c, d].map(|column| column[whole + i]));
    }
}

/// Values that panels of `width` columns take, for a matrix of `rows` rows.
pub(crate) fn packed_len(rows: usize, cols: usize, width: usize) -> usize {
    rows * cols.next_multiple_of(width)
}

/// Packs panels on all threads, a part of a panel each.
pub(super) fn pack_parallel(b: Matrix<'_, impl Number>, width: usize, panels: &mut [f32]) {
    panels.par_chunks_mut((b.rows() * width).max(1)).enumerate().for_each(|(j, panel)| {
        let start = j * width;
        let b = b.col_range(start, width.min(b.cols() - start));
        panel.par_chunks_mut(PART * width).enumerate().for_each(|(i, part)| {
            b.row_range(i * PART, part.len() / width).pack(width, part);
        });
    });
}

/// Rows that a thread packs at a time.
const PART: usize = 2 * ROWS;
