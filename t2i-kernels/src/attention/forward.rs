//! Some queries of one head against all of its keys.

use pulp::{Simd, WithSimd};

use super::{
    Mask,
    heads::Rows,
    pack, softmax, tile,
    tiles::{Tiles, VECTORS},
};
use crate::scratch::Scratch;

/// Keys of a block, at most. Their scores for a tile of queries fit the first cache.
pub(super) const KEYS: usize = 128;
/// Some queries of one head, and all of its keys.
pub(super) struct Task<'a, 'o> {
    /// Queries, keys and values.
    pub(super) rows: [Rows<'a>; 3],
    /// Which query the first is, for masks.
    pub(super) first: usize,
    pub(super) mask: Mask<'a>,
    pub(super) scale: f32,
    /// A row for each query.
    pub(super) out: Vec<&'o mut [f32]>,
    /// Where to leave, for each query, the logarithm to base 2 of the sum of its weights.
    pub(super) log_sums: Option<&'o mut [f32]>,
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The accumulators, a tile of 3 vectors and one number have to fit the registers.
        if S::REGISTER_COUNT >= 32 { self.run::<S, 8>(simd) } else { self.run::<S, 4>(simd) }
    }
}

impl Task<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const M: usize>(mut self, simd: S) {
        let [q, k, v] = self.rows;
        let lanes = self.out.len().next_multiple_of(S::F32_LANES);
        let stride = pack::stride(k.width);
        let block = k.len.div_ceil(k.len.div_ceil(KEYS));
        let scores = block * VECTORS * S::F32_LANES;
        let lens = [lanes * q.width, lanes * v.width, 2 * lanes, scores, block * stride, block * v.width];
        let mut scratch = Scratch::of_all(&lens);
        let [queries, sums, stats, scores, keys, values] = scratch.split(lens);
        let tiles = Tiles::new(self.out.len(), S::F32_LANES);
        let scale = self.scale * std::f32::consts::LOG2_E;
        for t in tiles {
            pack::across(q.slice(t.start, t.len), t.lanes, &mut queries[t.start * q.width..][..t.lanes * q.width]);
        }
        sums.fill(0.0);
        stats[..lanes].fill(f32::NEG_INFINITY);
        stats[lanes..].fill(0.0);
        let (max, sum) = stats.split_at_mut(lanes);
        for key in (0..self.keys()).step_by(block) {
            let len = block.min(k.len - key);
            pack::rows(k.slice(key, len), scale, stride, keys);
            pack::columns::<M>(v.slice(key, len), values);
            for t in tiles {
                if matches!(self.mask, Mask::Causal) && self.first + t.start + t.len <= key {
                    continue;
                }
                let step = Step {
                    queries: &queries[t.start * q.width..][..t.lanes * q.width],
                    keys,
                    stride,
                    values: &values[..len * v.width],
                    scores: &mut scores[..len * t.lanes],
                    sums: &mut sums[t.start * v.width..][..t.lanes * v.width],
                    max: &mut max[t.start..][..t.lanes],
                    sum: &mut sum[t.start..][..t.lanes],
                    mask: self.mask,
                    at: [self.first + t.start, key],
                    size: [t.len, k.len],
                };
                match t.lanes / S::F32_LANES {
                    1 => simd.vectorize(Sized::<1, M>(step)),
                    2 => simd.vectorize(Sized::<2, M>(step)),
                    _ => simd.vectorize(Sized::<3, M>(step)),
                }
            }
        }
        for t in tiles {
            let x = &mut sums[t.start * v.width..][..t.lanes * v.width];
            normalise(simd, x, &sum[t.start..][..t.lanes]);
            pack::back(x, t.lanes, &mut self.out[t.start..][..t.len]);
        }
        for (to, (max, sum)) in self.log_sums.into_iter().flatten().zip(max.iter().zip(sum)) {
            // Weights of a query that saw no key will be 0 again.
            *to = if *sum == 0.0 { f32::INFINITY } else { max + sum.log2() };
        }
    }

    /// How many keys are seen by any query here.
    fn keys(&self) -> usize {
        match self.mask {
            Mask::Causal => self.rows[1].len.min(self.first + self.out.len()),
            _ => self.rows[1].len,
        }
    }
}

/// Divides the weighted sums by the sum of the weights.
#[inline(always)]
fn normalise<S: Simd>(simd: S, x: &mut [f32], sum: &[f32]) {
    let (sum, lanes) = (S::as_simd_f32s(sum).0, sum.len() / S::F32_LANES);
    for (n, sum) in sum.iter().enumerate() {
        let inverse = softmax::inverse(simd, *sum);
        for x in S::as_mut_simd_f32s(x).0.iter_mut().skip(n).step_by(lanes) {
            *x = simd.mul_f32s(*x, inverse);
        }
    }
}

/// One tile of queries against one block of keys.
struct Step<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    stride: usize,
    values: &'a [f32],
    scores: &'a mut [f32],
    sums: &'a mut [f32],
    max: &'a mut [f32],
    sum: &'a mut [f32],
    mask: Mask<'a>,
    /// The first query and the first key.
    at: [usize; 2],
    /// Queries of the tile, and all keys.
    size: [usize; 2],
}

/// A tile of `N` vectors, with accumulators for `M` rows of them.
struct Sized<'a, const N: usize, const M: usize>(Step<'a>);

impl<const N: usize, const M: usize> WithSimd for Sized<'_, N, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let step = self.0;
        let queries = S::as_simd_f32s(step.queries).0.as_chunks::<N>().0;
        let scores = S::as_mut_simd_f32s(step.scores).0.as_chunks_mut::<N>().0;
        tile::by_rows::<S, M, N>(simd, step.keys, step.stride, queries, scores);
        softmax::add_mask(simd, step.mask, step.scores, step.at, step.size, N * S::F32_LANES);
        let scores = S::as_mut_simd_f32s(step.scores).0.as_chunks_mut::<N>().0;
        let max = &mut S::as_mut_simd_f32s(step.max).0.as_chunks_mut::<N>().0[0];
        let sum = &mut S::as_mut_simd_f32s(step.sum).0.as_chunks_mut::<N>().0[0];
        let factor = softmax::online(simd, scores, max, sum);
        let sums = S::as_mut_simd_f32s(step.sums).0.as_chunks_mut::<N>().0;
        tile::by_columns::<S, M, N>(simd, step.values, scores, factor, sums);
    }
}
