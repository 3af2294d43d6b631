//! Pictures made coarse, to be compared.

/// Cells along each side of a picture.
pub(crate) const GRID: usize = 32;

/// Means of square parts of a picture, row by row, with `N` channels.
#[derive(Clone, Debug)]
pub(crate) struct Cells<const N: usize> {
    width: usize,
    values: Vec<[f32; N]>,
}

impl<const N: usize> Cells<N> {
    /// The means of a picture of `size` x `size` pixels, a multiple of [`GRID`]; `pixel` gives the channels at (x, y).
    pub(crate) fn mean(size: usize, pixel: impl Fn(usize, usize) -> [f32; N]) -> Self {
        let side = size / GRID;
        let mean = |cell: usize| {
            let (left, top) = (cell % GRID * side, cell / GRID * side);
            let mut sum = [0.0; N];
            for place in 0..side * side {
                add(&mut sum, pixel(left + place % side, top + place / side), 1.0);
            }
            sum.map(|value| value / (side * side) as f32)
        };
        Self { width: GRID, values: (0..GRID * GRID).map(mean).collect() }
    }

    /// The part that begins at column `left` and row `top`.
    pub(crate) fn part(&self, [left, top]: [usize; 2], [width, height]: [usize; 2]) -> Self {
        let row = |row: usize| &self.values[row * self.width + left..][..width];
        Self { width, values: (top..top + height).flat_map(row).copied().collect() }
    }

    /// Mixed with their neighbours, 1 : 2 : 1 across and down. At the border a cell is its own neighbour.
    pub(crate) fn blurred(&self) -> Self {
        let (width, height) = (self.width, self.values.len() / self.width);
        let mix = |before: usize, here: usize, after: usize, values: &[[f32; N]]| {
            let mut sum = [0.0; N];
            [(before, 0.25), (here, 0.5), (after, 0.25)].into_iter().for_each(|(i, w)| add(&mut sum, values[i], w));
            sum
        };
        let across = |i: usize| {
            let column = i % width;
            let (before, after) = (i - usize::from(column > 0), i + usize::from(column + 1 < width));
            mix(before, i, after, &self.values)
        };
        let rows: Vec<_> = (0..self.values.len()).map(across).collect();
        let down = |i: usize| {
            let (before, after) =
                (i - width * usize::from(i >= width), i + width * usize::from(i / width + 1 < height));
            mix(before, i, after, &rows)
        };
        Self { width, values: (0..rows.len()).map(down).collect() }
    }
}

impl Cells<3> {
    /// The mean squared difference to a drawing on a background. The drawing's colours are multiplied by its last channel.
    pub(crate) fn distance(&self, drawing: &Cells<4>, background: [f32; 3]) -> f32 {
        let squares = self.values.iter().zip(&drawing.values).map(|(seen, &[red, green, blue, alpha])| {
            let channel = |i: usize, value: f32| (seen[i] - value - (1.0 - alpha) * background[i]).powi(2);
            channel(0, red) + channel(1, green) + channel(2, blue)
        });
        squares.sum::<f32>() / (3 * self.values.len()) as f32
    }
}

fn add<const N: usize>(sum: &mut [f32; N], values: [f32; N], weight: f32) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(width: usize, values: &[f32]) -> Cells<1> {
        Cells { width, values: values.iter().map(|value| [*value]).collect() }
    }

    #[test]
    fn a_cell_is_the_mean_of_its_pixels() {
        let cells = Cells::mean(2 * GRID, |x, y| [x as f32, y as f32]);
        assert_eq!(cells.values[0], [0.5, 0.5]);
        assert_eq!(cells.values[GRID + 2], [4.5, 2.5]);
    }

    #[test]
    fn a_part_is_cut_out() {
        let values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        assert_eq!(cells(3, &values).part([1, 1], [2, 2]).values, cells(2, &[4.0, 5.0, 7.0, 8.0]).values);
    }

    #[test]
    fn blur_keeps_a_plain_picture_and_spreads_a_dot() {
        assert_eq!(cells(3, &[1.0; 9]).blurred().values, cells(3, &[1.0; 9]).values);
        let dot = [0.0, 0.0, 0.0, 0.0, 16.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(cells(3, &dot).blurred().values, cells(3, &[1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0]).values);
        assert_eq!(cells(1, &[4.0, 0.0]).blurred().values, cells(1, &[3.0, 1.0]).values);
    }

    #[test]
    fn a_drawing_lies_on_the_background() {
        let seen = Cells { width: 1, values: vec![[0.5, 0.25, 1.0]] };
        let half_red = Cells { width: 1, values: vec![[0.5, 0.0, 0.0, 0.5]] };
        assert_eq!(seen.distance(&half_red, [0.0, 0.5, 2.0]), 0.0);
        assert_eq!(seen.distance(&half_red, [0.0, 0.5, 0.0]), 1.0 / 3.0);
    }
}
