//! Scaled dot-product attention, `softmax(scale * q k^T + mask) v`, without the matrix of scores in memory.
//!
//! The softmax is taken block by block, with a running maximum and sum for each query: [Rabe and Staats
//! 2021](https://arxiv.org/abs/2112.05682), [Dao et al. 2022, algorithm 1](https://arxiv.org/abs/2205.14135).
//! Here a lane of a vector is a query. So the numbers of keys and values need no arranging for lanes, whatever the
//! width of a head; maxima and sums run down the keys, from one vector to the next; and only queries are padded.

mod backward;
mod forward;
mod heads;
mod pack;
mod softmax;
#[cfg(test)]
mod tests;
mod tile;
mod tiles;

use self::forward::Task;
pub use self::heads::{Heads, Layout};
use crate::{arch::dispatch, parallel::in_turn};

/// What is added to the scores before the softmax.
#[derive(Clone, Copy, Debug, Default)]
pub enum Mask<'a> {
    /// Nothing: each query sees each key.
    #[default]
    None,
    /// Query `i` sees the keys `0..=i`.
    Causal,
    /// A number for each query and key, `[lq, lk]`; `-inf` hides a key.
    Scores(&'a [f32]),
    /// A number for each key of an example, `[batch, lk]`; `-inf` hides a key, as padding.
    Keys(&'a [f32]),
}

/// Queries that a thread takes at once, at most: the larger, the fewer times keys are read.
const QUERIES: [usize; 5] = [768, 384, 192, 96, 48];
/// Numbers of the queries and results of a thread, so that they fit the second cache with a block of keys.
const NUMBERS: usize = 1 << 16;

/// `softmax(scale * q k^T + mask) v` for each head.
///
/// A query that sees no key gives zeros. NaN in a query, or in a key that it sees, gives NaN.
///
/// # Shapes
///
/// - q: `[batch, heads, lq, d]`
/// - k: `[batch, heads, lk, d]`
/// - v: `[batch, heads, lk, dv]`
/// - out: `[batch, heads, lq, dv]` or `[batch, lq, heads * dv]`, as `layout` says
///
/// # Panics
///
/// If a size is 0, or batch, heads, `lk` or `d` are not the same where they have to be, or `mask` or `out` has another
/// length than its shape.
pub fn attention(
    q: Heads<'_>,
    k: Heads<'_>,
    v: Heads<'_>,
    mask: Mask<'_>,
    scale: f32,
    layout: Layout,
    out: &mut [f32],
) {
    forward(Inputs { q, k, v, mask, scale }, layout, out, None);
}

/// What attention is a function of.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `[batch, heads, lq, d]`.
    pub q: Heads<'a>,
    /// `[batch, heads, lk, d]`.
    pub k: Heads<'a>,
    /// `[batch, heads, lk, dv]`.
    pub v: Heads<'a>,
    /// What is added to the scores.
    pub mask: Mask<'a>,
    /// What the products of queries and keys are multiplied by.
    pub scale: f32,
}

/// [`attention`], and what its gradient needs: the logarithm to base 2 of the sum of the weights of each query.
///
/// # Shapes
///
/// - out: as for [`attention`]
/// - log_sums: `[batch, heads, lq]`
///
/// # Panics
///
/// As [`attention`], or if `log_sums` has another length than its shape.
pub fn attention_saving(inputs: Inputs<'_>, layout: Layout, out: &mut [f32], log_sums: &mut [f32]) {
    let q = inputs.q;
    assert_eq!(log_sums.len(), q.batch * q.heads * q.tokens, "attention: log_sums is not [batch, heads, lq]");
    forward(inputs, layout, out, Some(log_sums));
}

/// What [`attention_saving`] leaves for the gradient.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    /// `[batch, heads, lq, dv]`.
    pub out: Heads<'a>,
    /// `[batch, heads, lq]`.
    pub log_sums: &'a [f32],
}

/// The gradients of [`attention`] for queries, keys and values, of that for its result. The weights are taken again
/// ([Dao et al. 2022, algorithm 4](https://arxiv.org/abs/2205.14135)).
///
/// Work is split over examples and heads: one head of one example runs in one thread.
///
/// # Shapes
///
/// - grad: `[batch, heads, lq, dv]`
/// - grads: as q, k and v, in the order that `layout` says
///
/// # Panics
///
/// As [`attention`], or if `saved` or `grad` is not of the shape of the result.
pub fn attention_backward(
    inputs: Inputs<'_>,
    saved: Saved<'_>,
    grad: Heads<'_>,
    layout: Layout,
    grads: [&mut [f32]; 3],
) {
    let Inputs { q, k, v, mask, scale } = inputs;
    check(&inputs);
    for x in [saved.out, grad] {
        assert_eq!(x.shape(), [q.batch, q.heads, q.tokens, v.width], "attention: a gradient differs in shape");
    }
    assert_eq!(saved.log_sums.len(), q.batch * q.heads * q.tokens, "attention: log_sums is not [batch, heads, lq]");
    let [dq, dk, dv] = grads;
    for (x, of) in [(&dq, q), (&dk, k), (&dv, v)] {
        assert_eq!(
            x.len(),
            of.shape().iter().product::<usize>(),
            "attention: the length of a gradient is not its shape's"
        );
    }
    let split = |x, of: Heads<'_>| layout.split(x, of.shape(), of.tokens);
    let tasks = split(dq, q).into_iter().zip(split(dk, k).into_iter().zip(split(dv, v)));
    let tasks = tasks.zip(saved.log_sums.chunks_exact(q.tokens)).enumerate();
    in_turn(tasks, |(i, ((dq, (dk, dv)), log_sums))| {
        let (b, h) = (i / q.heads, i % q.heads);
        let rows = [q, k, v, saved.out, grad].map(|x| x.rows(b, h));
        dispatch(backward::Task { rows, log_sums, mask: mask.of(b, k.tokens), scale, grads: [dq, dk, dv] });
    });
}

fn forward(inputs: Inputs<'_>, layout: Layout, out: &mut [f32], log_sums: Option<&mut [f32]>) {
    let Inputs { q, k, v, mask, scale } = inputs;
    check(&inputs);
    assert_eq!(out.len(), q.batch * q.heads * q.tokens * v.width, "attention: the length of out is not its shape's");
    let size = block_size(&q, v.width);
    let blocks = q.tokens.div_ceil(size);
    let mut log_sums = log_sums.into_iter().flat_map(|x| x.chunks_mut(q.tokens)).flat_map(|x| x.chunks_mut(size));
    let tasks = layout.split(out, [q.batch, q.heads, q.tokens, v.width], size).into_iter();
    let tasks = tasks.map(|out| (out, log_sums.next())).enumerate();
    in_turn(tasks, |(i, (out, log_sums))| {
        let (b, h) = (i / blocks / q.heads, i / blocks % q.heads);
        let first = i % blocks * size;
        let rows = [q.rows(b, h).skip(first), k.rows(b, h), v.rows(b, h)];
        dispatch(Task { rows, first, mask: mask.of(b, k.tokens), scale, out, log_sums });
    });
}

fn check(Inputs { q, k, v, mask, .. }: &Inputs<'_>) {
    assert_eq!((q.batch, q.heads, q.width), (k.batch, k.heads, k.width), "attention: q and k differ in shape");
    assert_eq!((k.batch, k.heads, k.tokens), (v.batch, v.heads, v.tokens), "attention: k and v differ in shape");
    match *mask {
        Mask::None | Mask::Causal => {}
        Mask::Scores(m) => assert_eq!(m.len(), q.tokens * k.tokens, "attention: the mask is not [lq, lk]"),
        Mask::Keys(m) => assert_eq!(m.len(), q.batch * k.tokens, "attention: the mask is not [batch, lk]"),
    }
}

impl<'a> Mask<'a> {
    /// The mask of one example of a batch.
    fn of(self, batch: usize, keys: usize) -> Self {
        match self {
            Self::Keys(m) => Self::Keys(&m[batch * keys..][..keys]),
            other => other,
        }
    }
}

/// As many queries as the cache holds, but work for each thread.
fn block_size(q: &Heads<'_>, dv: usize) -> usize {
    let fits = |size: &usize| size * (q.width + dv) <= NUMBERS;
    let enough = |size: &usize| q.batch * q.heads * q.tokens.div_ceil(*size) >= 4 * rayon::current_num_threads();
    let size = QUERIES.into_iter().filter(fits).find(enough).unwrap_or(48);
    // Blocks of nearly the same size, in whole vectors.
    q.tokens.div_ceil(q.tokens.div_ceil(size)).next_multiple_of(16).min(size)
}
