//! The gradients of one head.
//!
//! With weights `p`, values `v` and the gradient `g` of the result, `dp = g v^T` and `ds = p (dp - sum(p dp))`; that sum
//! is the product of the result and its gradient. Then `dv = p^T g`, `dq = scale ds k` and `dk = scale ds^T q`.

use pulp::{Simd, WithSimd};

use super::{
    Mask,
    forward::KEYS,
    heads::Rows,
    pack, softmax, tile,
    tiles::{Tile, Tiles, VECTORS},
};
use crate::{math::exp2_negative, scratch::Scratch};

/// Queries of a block, at most.
const QUERIES: [usize; 4] = [384, 192, 96, 48];
/// Numbers that belong to a block of queries, so that they fit the second cache.
const NUMBERS: usize = 1 << 17;

/// One head.
pub(super) struct Task<'a, 'o> {
    /// Queries, keys, values, result and its gradient.
    pub(super) rows: [Rows<'a>; 5],
    /// `[lq]`.
    pub(super) log_sums: &'a [f32],
    pub(super) mask: Mask<'a>,
    pub(super) scale: f32,
    /// Those of queries, keys and values.
    pub(super) grads: [Vec<&'o mut [f32]>; 3],
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.run::<S, 8>(simd) } else { self.run::<S, 4>(simd) }
    }
}

impl<'a> Task<'a, '_> {
    /// Blocks of queries times blocks of keys. Gradients of queries gather over the blocks of keys, those of keys and
    /// values over the tiles of a block of queries.
    #[inline(always)]
    fn run<S: Simd, const M: usize>(self, simd: S) {
        let Self { rows: [q, k, v, result, grad], log_sums, mask, scale, grads: [mut dq, mut dk, mut dv] } = self;
        let numbers = 3 * q.width + 2 * v.width;
        let queries = QUERIES.into_iter().find(|n| n * numbers <= NUMBERS).unwrap_or(QUERIES[3]).min(q.len);
        let (lanes, block) = (queries.next_multiple_of(S::F32_LANES), k.len.div_ceil(k.len.div_ceil(KEYS)));
        let [d_lanes, dv_lanes] = [k, v].map(|x| x.width.next_multiple_of(S::F32_LANES));
        let strides = [k, v].map(|x| pack::stride(x.width));
        let tile = block * VECTORS * S::F32_LANES;
        let lens = [
            lanes * (2 * q.width + v.width),
            lanes * (d_lanes + dv_lanes),
            2 * lanes,
            block * (strides[0] + k.width + strides[1]),
            2 * tile,
            block * (d_lanes + dv_lanes),
        ];
        let mut scratch = Scratch::of_all(&lens);
        let [across, queries_by_row, stats, keys, tiles, sums] = scratch.split(lens);
        let (weights, slopes) = tiles.split_at_mut(tile);
        dk.iter_mut().chain(&mut dv).for_each(|row| row.fill(0.0));
        for first in (0..q.len).step_by(queries) {
            let len = queries.min(q.len - first);
            let lanes = len.next_multiple_of(S::F32_LANES);
            let (q_across, rest) = across.split_at_mut(lanes * q.width);
            let (g_across, dq_across) = rest.split_at_mut(lanes * v.width);
            let dq_across = &mut dq_across[..lanes * q.width];
            let (q_rows, g_rows) = queries_by_row.split_at_mut(lanes * d_lanes);
            let (log_sum, product) = stats.split_at_mut(lanes);
            let part = |x: Rows<'a>, t: Tile| x.slice(first + t.start, t.len);
            for t in Tiles::new(len, S::F32_LANES) {
                let at = |width: usize| t.start * width..(t.start + t.lanes) * width;
                pack::across(part(q, t), t.lanes, &mut q_across[at(q.width)]);
                pack::across(part(grad, t), t.lanes, &mut g_across[at(v.width)]);
                by_row::<S>(part(q, t), t.lanes, &mut q_rows[at(d_lanes)]);
                by_row::<S>(part(grad, t), t.lanes, &mut g_rows[at(dv_lanes)]);
            }
            // Lanes without a query have no weight.
            log_sum[..lanes].fill(f32::INFINITY);
            log_sum[..len].copy_from_slice(&log_sums[first..][..len]);
            product[..lanes].fill(0.0);
            for (i, to) in product[..len].iter_mut().enumerate() {
                *to = dot(result.row(first + i), grad.row(first + i));
            }
            dq_across.fill(0.0);
            for key in (0..k.len).step_by(block) {
                if matches!(mask, Mask::Causal) && first + len <= key {
                    break;
                }
                let rows = block.min(k.len - key);
                let (k_rows, rest) = keys.split_at_mut(block * strides[0]);
                let (k_columns, v_rows) = rest.split_at_mut(block * k.width);
                pack::rows(k.slice(key, rows), scale * std::f32::consts::LOG2_E, strides[0], k_rows);
                pack::columns::<M>(k.slice(key, rows), k_columns);
                pack::rows(v.slice(key, rows), 1.0, strides[1], v_rows);
                let (dk_sums, dv_sums) = sums.split_at_mut(rows * d_lanes);
                dk_sums.fill(0.0);
                dv_sums.fill(0.0);
                for t in Tiles::new(len, S::F32_LANES) {
                    let at = |width: usize| t.start * width..(t.start + t.lanes) * width;
                    let stats = [&log_sum[at(1)], &product[at(1)]];
                    let step = Step {
                        across: [&q_across[at(q.width)], &g_across[at(v.width)]],
                        rows: [k_rows, v_rows],
                        strides,
                        k_columns: &k_columns[..rows * k.width],
                        stats,
                        weights: &mut weights[..rows * t.lanes],
                        slopes: &mut slopes[..rows * t.lanes],
                        dq: &mut dq_across[at(q.width)],
                        mask,
                        at: [first + t.start, key],
                        size: [t.len, k.len],
                    };
                    match t.lanes / S::F32_LANES {
                        1 => simd.vectorize(Sized::<1, M>(step)),
                        2 => simd.vectorize(Sized::<2, M>(step)),
                        _ => simd.vectorize(Sized::<3, M>(step)),
                    }
                    let (weights, slopes) = (&weights[..rows * t.lanes], &slopes[..rows * t.lanes]);
                    gather::<S, M>(
                        simd,
                        weights,
                        t.lanes,
                        &g_rows[at(dv_lanes)],
                        v.width,
                        &mut dv_sums[..rows * dv_lanes],
                    );
                    gather::<S, M>(simd, slopes, t.lanes, &q_rows[at(d_lanes)], k.width, dk_sums);
                }
                add_back::<S>(dk_sums, scale, &mut dk[key..][..rows]);
                add_back::<S>(&dv_sums[..rows * dv_lanes], 1.0, &mut dv[key..][..rows]);
            }
            for x in dq_across.iter_mut() {
                *x *= scale;
            }
            for t in Tiles::new(len, S::F32_LANES) {
                let x = &dq_across[t.start * q.width..][..t.lanes * q.width];
                pack::back(x, t.lanes, &mut dq[first + t.start..][..t.len]);
            }
        }
    }
}

/// The product of two rows, in 16 sums at once.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_end) = a.as_chunks::<16>();
    let (b, b_end) = b.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            sums[i] += a[i] * b[i];
        }
    }
    for (i, (a, b)) in a_end.iter().zip(b_end).enumerate() {
        sums[i] += a * b;
    }
    sums.iter().sum()
}

/// The rows of a tile, their numbers in groups of up to three vectors: `[groups, lanes, group]`.
#[inline(always)]
fn by_row<S: Simd>(rows: Rows<'_>, lanes: usize, out: &mut [f32]) {
    for c in Tiles::new(rows.width, S::F32_LANES) {
        pack::padded(rows, c.start, c.len, c.lanes, &mut out[c.start * lanes..][..c.lanes * lanes]);
    }
}

/// `sums[key][c] += sum_q x[key][q] * rows[q][c]`, with `rows` and `sums` as [`by_row`] leaves them.
#[inline(always)]
fn gather<S: Simd, const M: usize>(simd: S, x: &[f32], lanes: usize, rows: &[f32], width: usize, sums: &mut [f32]) {
    let keys = x.len() / lanes;
    for c in Tiles::new(width, S::F32_LANES) {
        let rows = &rows[c.start * lanes..][..c.lanes * lanes];
        let sums = &mut sums[c.start * keys..][..c.lanes * keys];
        match c.lanes / S::F32_LANES {
            1 => simd.vectorize(Gather::<1, M> { x, lanes, rows, sums }),
            2 => simd.vectorize(Gather::<2, M> { x, lanes, rows, sums }),
            _ => simd.vectorize(Gather::<3, M> { x, lanes, rows, sums }),
        }
    }
}

struct Gather<'a, const N: usize, const M: usize> {
    x: &'a [f32],
    lanes: usize,
    rows: &'a [f32],
    sums: &'a mut [f32],
}

impl<const N: usize, const M: usize> WithSimd for Gather<'_, N, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = S::as_simd_f32s(self.rows).0.as_chunks::<N>().0;
        let sums = S::as_mut_simd_f32s(self.sums).0.as_chunks_mut::<N>().0;
        tile::add_by_rows::<S, M, N>(simd, self.x, self.lanes, rows, sums);
    }
}

/// `rows[key][c] += factor * sums[key][c]`, with `sums` in groups as [`by_row`] leaves them.
#[inline(always)]
fn add_back<S: Simd>(sums: &[f32], factor: f32, rows: &mut [&mut [f32]]) {
    let keys = rows.len();
    for (i, row) in rows.iter_mut().enumerate() {
        for c in Tiles::new(row.len(), S::F32_LANES) {
            let from = &sums[c.start * keys + i * c.lanes..][..c.len];
            for (to, x) in row[c.start..][..c.len].iter_mut().zip(from) {
                *to += factor * x;
            }
        }
    }
}

/// One tile of queries against one block of keys.
struct Step<'a> {
    /// Queries, and gradients of their results, across the lanes.
    across: [&'a [f32]; 2],
    /// Keys and values.
    rows: [&'a [f32]; 2],
    strides: [usize; 2],
    k_columns: &'a [f32],
    /// Logarithms of the sums of weights, and products of results and gradients.
    stats: [&'a [f32]; 2],
    /// `p`, to be filled.
    weights: &'a mut [f32],
    /// `ds` without `scale`, to be filled.
    slopes: &'a mut [f32],
    dq: &'a mut [f32],
    mask: Mask<'a>,
    at: [usize; 2],
    size: [usize; 2],
}

/// A tile of `N` vectors, with accumulators for `M` rows of them.
struct Sized<'a, const N: usize, const M: usize>(Step<'a>);

impl<const N: usize, const M: usize> WithSimd for Sized<'_, N, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let step = self.0;
        let [q, g] = step.across.map(|x| S::as_simd_f32s(x).0.as_chunks::<N>().0);
        let weights = S::as_mut_simd_f32s(step.weights).0.as_chunks_mut::<N>().0;
        let slopes = S::as_mut_simd_f32s(step.slopes).0.as_chunks_mut::<N>().0;
        tile::by_rows::<S, M, N>(simd, step.rows[0], step.strides[0], q, weights);
        tile::by_rows::<S, M, N>(simd, step.rows[1], step.strides[1], g, slopes);
        softmax::add_mask(simd, step.mask, step.weights, step.at, step.size, N * S::F32_LANES);
        let weights = S::as_mut_simd_f32s(step.weights).0.as_chunks_mut::<N>().0;
        let [log_sum, product] = step.stats.map(|x| S::as_simd_f32s(x).0.as_chunks::<N>().0[0]);
        for (p, ds) in weights.iter_mut().zip(slopes.iter_mut()) {
            for n in 0..N {
                p[n] = exp2_negative(simd, simd.sub_f32s(p[n], log_sum[n]));
                ds[n] = simd.mul_f32s(p[n], simd.sub_f32s(ds[n], product[n]));
            }
        }
        let dq = S::as_mut_simd_f32s(step.dq).0.as_chunks_mut::<N>().0;
        tile::by_columns::<S, M, N>(simd, step.k_columns, slopes, [simd.splat_f32s(1.0); N], dq);
    }
}
