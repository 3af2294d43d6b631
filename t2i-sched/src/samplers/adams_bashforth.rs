//! Adams and Bashforth's linear multistep for equal steps.

/// The weights of the directions at the last levels, latest first, for an order from 1 to 4.
/// <https://arxiv.org/abs/2202.09778>, eq. 9
pub(super) fn weights(order: usize) -> &'static [f64] {
    match order {
        1 => &[1.0],
        2 => &[3.0 / 2.0, -1.0 / 2.0],
        3 => &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
        _ => &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
    }
}
