//! Sums of tensors, on all threads.

use crate::parallel::{for_pieces, piece};

/// `x + y`, number by number.
///
/// # Panics
///
/// If the lengths differ.
pub fn add(x: &[f32], y: &[f32], out: &mut [f32]) {
    assert_eq!([x.len(), y.len()], [out.len(); 2], "add: x, y and out differ in length");
    for_pieces(out, piece(x.len(), 1), |at, out| {
        for ((out, x), y) in out.iter_mut().zip(&x[at..]).zip(&y[at..]) {
            *out = x + y;
        }
    });
}

/// `x + y`, where each number of `y` is added to a whole plane of `x`.
///
/// # Shapes
///
/// - x, out: `[planes, pixels]`
/// - y: `[planes]`
///
/// # Panics
///
/// If `y` is empty, or the slices hold other planes.
pub fn add_to_planes(x: &[f32], y: &[f32], out: &mut [f32]) {
    assert!(!y.is_empty() && x.len().is_multiple_of(y.len()), "add: {} numbers are not {} planes", x.len(), y.len());
    assert_eq!(x.len(), out.len(), "add: x and out differ in length");
    let pixels = (x.len() / y.len()).max(1);
    for_pieces(out, pixels * piece(y.len(), pixels), |at, out| {
        let planes = out.chunks_mut(pixels).zip(x[at..].chunks(pixels)).zip(&y[at / pixels..]);
        for ((out, x), y) in planes {
            out.iter_mut().zip(x).for_each(|(out, x)| *out = x + y);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_each_number() {
        for [planes, pixels] in [[1, 1], [3, 5], [70, 1000], [300, 257]] {
            let x: Vec<f32> = (0..planes * pixels).map(|i| i as f32).collect();
            let y: Vec<f32> = x.iter().map(|x| 0.5 * x).collect();
            let mut out = vec![f32::NAN; x.len()];
            add(&x, &y, &mut out);
            assert!(out.iter().zip(&x).all(|(sum, x)| *sum == x + 0.5 * x));
            add_to_planes(&x, &y[..planes], &mut out);
            assert!(out.iter().enumerate().all(|(i, sum)| *sum == x[i] + y[i / pixels]));
        }
    }
}
