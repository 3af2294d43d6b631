//! The sums of a tile, in registers.

use pulp::Simd;

use super::{
    avx512::add_lines,
    rows::{Line, Lines, Rows},
};
use crate::{
    prefetch::{FIRST, Requests, Soon, prefetch},
    scratch::LINE,
};

/// Steps of the sums from asking for values of the right operand to their use.
const AHEAD: usize = 16;

/// The sums over `k` of a tile of `R` rows and `V` vectors.
pub(super) struct Sums<'a, S: Simd, A, const R: usize, const W: usize, const V: usize> {
    pub(super) simd: S,
    pub(super) a: A,
    /// A panel that is `W` vectors wide.
    pub(super) b: &'a [[S::f32s; W]],
    pub(super) sums: &'a mut [[S::f32s; V]; R],
    /// Where the sums will be written, and what other tiles will read.
    pub(super) soon: [Soon; 3],
}

impl<S: Simd, A: Rows, const R: usize, const W: usize, const V: usize> pulp::NullaryFnOnce for Sums<'_, S, A, R, W, V> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let simd = self.simd;
        let (lines, rest) = self.b.as_chunks::<LINE>();
        let mut requests = Requests::of(self.soon);
        let done = add_lines::<S, R, W, V>(&self.a, lines, self.sums, &mut requests);
        if done == lines.len() && rest.is_empty() {
            return;
        }
        let a = self.a.cut::<R>(self.b.len());
        let mut sums = *self.sums;
        for (line, b) in lines.iter().enumerate().skip(done) {
            let a = a.line(line);
            requests.ask();
            for (i, b) in b.iter().enumerate() {
                add_products(simd, a.column(i), b, &mut sums);
            }
        }
        for (i, b) in rest.iter().enumerate() {
            add_products(simd, a.last(i), b, &mut sums);
        }
        *self.sums = sums;
    }
}

/// One step of the sums. The right operand is asked for its values some steps ahead.
#[inline(always)]
fn add_products<S: Simd, const R: usize, const W: usize, const V: usize>(
    simd: S,
    a: [f32; R],
    b: &[S::f32s; W],
    sums: &mut [[S::f32s; V]; R],
) {
    prefetch::<FIRST, _>(b.as_ptr().wrapping_add(AHEAD * W).cast::<f32>(), V * S::F32_LANES);
    for (sums, a) in sums.iter_mut().zip(a) {
        let a = simd.splat_f32s(a);
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum = simd.mul_add_f32s(a, *b, *sum);
        }
    }
}
