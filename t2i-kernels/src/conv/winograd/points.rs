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
/// One over the product of the distances from `p` to the other points.
const P_SCALE: f32 = 1.0 / (2.0 * P2 * (P2 - Q2));
/// The same for `q`.
const Q_SCALE: f32 = 1.0 / (2.0 * Q2 * (Q2 - P2));

/// `G g`: the polynomial `g` at each point, over the product of the distances to the other points.
#[inline(always)]
pub(super) fn kernel<S: Simd>(simd: S, g: [S::f32s; 3]) -> [S::f32s; 6] {
    let zero = simd.splat_f32s(0.0);
    let p_even = times(simd, P_SCALE, g[0], times(simd, P_SCALE * P2, g[2], zero));
    let p_odd = simd.mul_f32s(simd.splat_f32s(P_SCALE * P), g[1]);
    let q_even = times(simd, Q_SCALE, g[0], times(simd, Q_SCALE * Q2, g[2], zero));
    let q_odd = simd.mul_f32s(simd.splat_f32s(Q_SCALE * Q), g[1]);
    [
        g[0], // p^2 q^2 = 1
        simd.add_f32s(p_even, p_odd),
        simd.sub_f32s(p_even, p_odd),
        simd.add_f32s(q_even, q_odd),
        simd.sub_f32s(q_even, q_odd),
        g[2],
    ]
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

/// `A y`: the gradient of `output` passed back, 4 values to the points.
#[inline(always)]
pub(super) fn output_back<S: Simd>(simd: S, y: [S::f32s; 4]) -> [S::f32s; 6] {
    let p_even = times(simd, P2, y[2], y[0]);
    let p_odd = simd.mul_f32s(simd.splat_f32s(P), times(simd, P2, y[3], y[1]));
    let q_even = times(simd, Q2, y[2], y[0]);
    let q_odd = simd.mul_f32s(simd.splat_f32s(Q), times(simd, Q2, y[3], y[1]));
    [
        y[0],
        simd.add_f32s(p_even, p_odd),
        simd.sub_f32s(p_even, p_odd),
        simd.add_f32s(q_even, q_odd),
        simd.sub_f32s(q_even, q_odd),
        y[3],
    ]
}

/// `G^T u`: the gradient of `kernel` passed back, from the points to 3 values.
#[inline(always)]
pub(super) fn kernel_back<S: Simd>(simd: S, u: [S::f32s; 6]) -> [S::f32s; 3] {
    let (p_sum, p_difference) = (simd.add_f32s(u[1], u[2]), simd.sub_f32s(u[1], u[2]));
    let (q_sum, q_difference) = (simd.add_f32s(u[3], u[4]), simd.sub_f32s(u[3], u[4]));
    let zero = simd.splat_f32s(0.0);
    [
        times(simd, P_SCALE, p_sum, times(simd, Q_SCALE, q_sum, u[0])),
        times(simd, P_SCALE * P, p_difference, times(simd, Q_SCALE * Q, q_difference, zero)),
        times(simd, P_SCALE * P2, p_sum, times(simd, Q_SCALE * Q2, q_sum, u[5])),
    ]
}

#[inline(always)]
fn times<S: Simd>(simd: S, factor: f32, x: S::f32s, plus: S::f32s) -> S::f32s {
    simd.mul_add_f32s(simd.splat_f32s(factor), x, plus)
}
