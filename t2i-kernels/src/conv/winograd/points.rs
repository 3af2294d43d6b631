//! The transforms of F(4, 3) in one dimension, with the points 0, `±p`, `±q` and infinity.
//!
//! The paper's points are `p = 1` and `q = 2`. With `p = sqrt(1/2)` and `q = sqrt(2)` the powers differ less in size,
//! and so do the values that are summed: Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd
//! convolution for deep neural networks", <https://arxiv.org/abs/1803.10986>.

use pulp::Simd;

const P: f32 = std::f32::consts::FRAC_1_SQRT_2;
const Q: f32 = std::f32::consts::SQRT_2;
/// `p^2`.
const P2: f32 = 0.5;
/// `q^2`.
const Q2: f32 = 2.0;

/// A kernel of 3x3 at 6x6 points, `G g G^T`.
pub(super) fn kernel(g: &[f32; 9]) -> [f32; 36] {
    let g = g.map(f64::from);
    let mut columns = [[0.0; 3]; 6]; // [point, column]
    for j in 0..3 {
        let points = kernel_line([g[j], g[3 + j], g[6 + j]]);
        columns.iter_mut().zip(points).for_each(|(row, value)| row[j] = value);
    }
    let mut u = [0.0; 36];
    for (row, u) in columns.iter().zip(u.as_chunks_mut::<6>().0) {
        *u = kernel_line(*row).map(|value| value as f32);
    }
    u
}

/// `G g`: the polynomial `g` at each point, over the product of the distances to the other points.
fn kernel_line([g0, g1, g2]: [f64; 3]) -> [f64; 6] {
    let [p2, q2] = [f64::from(P2), f64::from(Q2)];
    let at = |x: f64, scale: f64| (g0 + x * g1 + x * x * g2) / scale;
    let [p, q] = [p2.sqrt(), q2.sqrt()];
    let [p_scale, q_scale] = [2.0 * p2 * (p2 - q2), 2.0 * q2 * (q2 - p2)];
    [g0 / (p2 * q2), at(p, p_scale), at(-p, p_scale), at(q, q_scale), at(-q, q_scale), g2]
}

/// `B^T d`: 6 values of the input at the points.
#[inline(always)]
pub(super) fn input<S: Simd>(simd: S, d: [S::f32s; 6]) -> [S::f32s; 6] {
    let p_even = times(simd, -Q2, d[2], d[4]);
    let p_odd = simd.mul_f32s(simd.splat_f32s(P), times(simd, -Q2, d[1], d[3]));
    let q_even = times(simd, -P2, d[2], d[4]);
    let q_odd = simd.mul_f32s(simd.splat_f32s(Q), times(simd, -P2, d[1], d[3]));
    [
        times(simd, -(P2 + Q2), d[2], times(simd, P2 * Q2, d[0], d[4])),
        simd.add_f32s(p_even, p_odd),
        simd.sub_f32s(p_even, p_odd),
        simd.add_f32s(q_even, q_odd),
        simd.sub_f32s(q_even, q_odd),
        times(simd, -(P2 + Q2), d[3], times(simd, P2 * Q2, d[1], d[5])),
    ]
}

/// `A^T m`: 4 values of the output from the points.
#[inline(always)]
pub(super) fn output<S: Simd>(simd: S, m: [S::f32s; 6]) -> [S::f32s; 4] {
    let (p_sum, p_difference) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (q_sum, q_difference) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    let zero = simd.splat_f32s(0.0);
    [
        simd.add_f32s(m[0], simd.add_f32s(p_sum, q_sum)),
        times(simd, P, p_difference, times(simd, Q, q_difference, zero)),
        times(simd, P2, p_sum, times(simd, Q2, q_sum, zero)),
        times(simd, P * P2, p_difference, times(simd, Q * Q2, q_difference, m[5])),
    ]
}

#[inline(always)]
fn times<S: Simd>(simd: S, factor: f32, x: S::f32s, plus: S::f32s) -> S::f32s {
    simd.mul_add_f32s(simd.splat_f32s(factor), x, plus)
}
