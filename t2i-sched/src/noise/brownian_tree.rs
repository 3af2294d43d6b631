//! One Brownian path, whose value anywhere follows from its seed.

use super::Generator;
use super::seed_sequence::seed_sequence;

/// The words of torchsde's entropy pool.
const POOL: usize = 24;

/// `torchsde.BrownianTree` with its default tolerance of 1e-6: a Brownian path over an interval, halved again and again
/// by Brownian bridges until the ends of a query are found. Each half draws from a seed of its own, so that the path
/// does not depend on what is asked of it, and in which order.
///
/// The values are those of torchsde, bit for bit where [`Generator::randn`]'s are.
/// <https://github.com/google-research/torchsde/blob/master/torchsde/_brownian/brownian_interval.py>
#[derive(Debug, Clone, Copy)]
pub struct BrownianTree {
    entropy: u64,
    start: f64,
    end: f64,
}

impl BrownianTree {
    /// The path over the interval from `start` to `end`.
    pub fn new(entropy: u64, start: f64, end: f64) -> Self {
        Self { entropy, start, end }
    }

    /// `W(to) - W(from)` of `n` independent paths, for `from <= to`. The ends are rounded to six digits and kept within
    /// the interval.
    pub fn increment(&self, from: f64, to: f64, n: usize) -> Vec<f32> {
        let root = Node { start: rounded(self.start), end: rounded(self.end), key: 0, depth: 0 };
        let within = |t: f64| rounded(t.max(root.start).min(root.end));
        let mut sum = vec![0.0; n];
        if self.start < self.end && within(from) < within(to) {
            let seed = seed_sequence(self.entropy, &[], POOL, 1)[0];
            let deviation = (self.end - self.start).sqrt() as f32;
            let whole = randn(seed, n).into_iter().map(|value| value * deviation).collect();
            self.add(root, whole, within(from), within(to), &mut sum);
        }
        sum
    }

    /// Adds the part of `node`, whose own increment is `whole`, that lies between `from` and `to`.
    fn add(&self, node: Node, whole: Vec<f32>, from: f64, to: f64, sum: &mut [f32]) {
        let half = rounded(0.5 * (node.end + node.start));
        let indivisible = !(node.start < half && half < node.end);
        if indivisible || (from == node.start && to == node.end) {
            return sum.iter_mut().zip(whole).for_each(|(sum, w)| *sum += w);
        }
        let left = self.left(node, half, &whole);
        if half < to {
            let right = whole.iter().zip(&left).map(|(w, left)| w - left).collect();
            if from < half {
                self.add(node.left(half), left, from, half, sum);
            }
            self.add(node.right(half), right, from.max(half), to, sum);
        } else {
            self.add(node.left(half), left, from, to, sum);
        }
    }

    /// The increment of the left half: a Brownian bridge.
    fn left(&self, node: Node, half: f64, whole: &[f32]) -> Vec<f32> {
        let (left, right, per_length) = (half - node.start, node.end - half, 1.0 / (node.end - node.start));
        let deviation = (left * right * per_length).sqrt() as f32;
        let seed = seed_sequence(self.entropy, &[node.key, node.depth], POOL, 1)[0];
        let bridge = |(w, noise): (&f32, f32)| left as f32 * w * per_length as f32 + deviation * noise;
        whole.iter().zip(randn(seed, whole.len())).map(bridge).collect()
    }
}

/// An interval of the tree, and its place there.
#[derive(Clone, Copy)]
struct Node {
    start: f64,
    end: f64,
    key: u64,
    depth: u64,
}

impl Node {
    fn left(self, half: f64) -> Self {
        Self { end: half, key: 2 * self.key, depth: self.depth + 1, ..self }
    }

    fn right(self, half: f64) -> Self {
        Self { start: half, key: 2 * self.key + 1, depth: self.depth + 1, ..self }
    }
}

fn randn(seed: u32, n: usize) -> Vec<f32> {
    Generator::new(u64::from(seed)).randn(n)
}

/// Python's `round(t, 6)`: the nearest decimal, not the nearest multiple of 1e-6 in binary.
fn rounded(t: f64) -> f64 {
    format!("{t:.6}").parse().unwrap_or(t)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_rounds_as_python_does() {
        assert_eq!(rounded(14.614_599_8), 14.6146);
        assert_eq!(rounded(0.007_812_5), 0.007_812); // a tie goes to the even digit
        assert_eq!(rounded(0.023_437_5), 0.023_438);
        assert_eq!(rounded(1.000_001_5), 1.000_001); // not a tie in binary
    }

    #[test]
    fn the_parts_of_an_interval_add_up() {
        let tree = BrownianTree::new(3, 0.0292, 14.6146);
        let whole = tree.increment(0.5, 9.0, 40);
        let parts = [0.5, 0.7, 3.3, 4.2, 8.0, 9.0].windows(2).map(|ends| tree.increment(ends[0], ends[1], 40));
        let sum = parts.reduce(|sum, part| sum.iter().zip(part).map(|(a, b)| a + b).collect()).unwrap();
        assert!(whole.iter().zip(sum).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn no_query_is_endless() {
        let (bad, all) = (f64::NAN, f64::INFINITY);
        for tree in [BrownianTree::new(1, 0.0, 1.0), BrownianTree::new(1, 1.0, 1.0), BrownianTree::new(1, bad, bad)] {
            for (from, to) in
                [(bad, 0.5), (0.1, bad), (-all, all), (0.3, 0.3), (0.7, 0.2), (2.0, 3.0), (0.1, 0.100_000_1)]
            {
                assert!(tree.increment(from, to, 3).iter().all(|w| w.is_finite()));
            }
        }
    }

    #[test]
    fn its_variance_is_the_length() {
        let tree = BrownianTree::new(9, 0.03, 15.0);
        for (from, to) in [(0.03, 15.0), (1.0, 1.1), (2.0, 9.0)] {
            let w = tree.increment(from, to, 20_000);
            let variance = w.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / 20_000.0;
            assert!((variance / (to - from) - 1.0).abs() < 0.05, "{variance}");
        }
    }
}
