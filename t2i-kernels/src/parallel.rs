//! Work split over threads.

use std::ops::Range;

use rayon::prelude::*;

/// Numbers of a piece: large against the cost of handing it out, small against a tensor.
const PIECE: [usize; 2] = [1 << 12, 1 << 15];

/// The number of units, each of `len` numbers, that a thread takes at once.
pub(crate) fn piece(units: usize, len: usize) -> usize {
    let even = (units * len).div_ceil(4 * rayon::current_num_threads());
    let numbers = even.clamp(PIECE[0], PIECE[1]).next_multiple_of(16);
    (numbers / len.max(1)).max(1)
}

/// Runs `f` on pieces of `out` of `size` numbers, each with its place: in this thread if there is but one.
pub(crate) fn for_pieces(out: &mut [f32], size: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    if out.len() <= size {
        return f(0, out);
    }
    out.par_chunks_mut(size).enumerate().for_each(|(i, out)| f(i * size, out));
}

/// Runs `f` on tasks, in order: each thread takes the next one when it is done, and fewer where it is slower, as others use its core.
/// For large tasks; small ones cost more to hand out than threads wait for each other.
pub(crate) fn in_turn<T: Send>(tasks: impl Iterator<Item = T> + Send, f: impl Fn(T) + Send + Sync) {
    tasks.par_bridge().for_each(f);
}

/// `0..total` in parts of at most `most`, in whole multiples of `unit`. The last ones are smaller, so that threads which take them in
/// turn end at about the same time.
pub(crate) fn shares(total: usize, most: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let most = most.next_multiple_of(unit);
    let least = (most / 8).next_multiple_of(unit);
    let mut end = 0;
    std::iter::from_fn(move || {
        let (start, left) = (end, total - end);
        let share = left.div_ceil(2 * rayon::current_num_threads()).next_multiple_of(unit).clamp(least, most);
        end = total.min(start + share);
        (left > 0).then_some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_each_other_and_shrink() {
        for (total, most, unit) in
            [(0, 144, 8), (1, 144, 8), (143, 170, 12), (2048, 144, 8), (8191, 100, 12), (37, 1, 1)]
        {
            let shares: Vec<_> = shares(total, most, unit).collect();
            let starts: Vec<_> = shares.iter().map(|share| share.start).chain([total]).collect();
            let ends: Vec<_> = [0].into_iter().chain(shares.iter().map(|share| share.end)).collect();
            assert_eq!(starts, ends, "{total} {most} {unit}");
            assert!(starts.iter().rev().skip(1).all(|start| start.is_multiple_of(unit)), "{starts:?}");
            assert!(shares.iter().all(|share| share.len() <= most.next_multiple_of(unit)), "{shares:?}");
            assert!(shares.is_sorted_by_key(|share| std::cmp::Reverse(share.len())), "{shares:?}");
        }
    }
}
