//! The Mersenne Twister, as torch's CPU generator runs it.
//! <https://dl.acm.org/doi/10.1145/272991.272995>

use crate::Memory;

const N: usize = 624;
const M: usize = 397;

/// The 32-bit Mersenne Twister with a period of `2^19937 - 1`.
#[derive(Clone)]
pub(super) struct Mt19937 {
    state: [u32; N],
    next: usize,
}

impl Mt19937 {
    /// Torch takes 64 bits and uses the lower 32.
    pub(super) fn new(seed: u64) -> Self {
        let mut state = [seed as u32; N];
        for j in 1..N {
            let before = state[j - 1];
            state[j] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(j as u32);
        }
        Self { state, next: N }
    }

    pub(super) fn next_u32(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        self.next += 1;
        tempered(self.state[self.next - 1])
    }

    /// The next `n` numbers, each given to `of`. The same as as many calls of [`next_u32`](Self::next_u32), but faster.
    pub(super) fn many<T>(&mut self, n: usize, of: impl Fn(u32) -> T) -> Vec<T> {
        let mut made = Vec::with_capacity(n);
        while made.len() < n {
            if self.next == N {
                self.twist();
            }
            let end = N.min(self.next + n - made.len());
            made.extend(self.state[self.next..end].iter().map(|word| of(tempered(*word))));
            self.next = end;
        }
        made
    }

    /// The first draw is the upper half.
    pub(super) fn next_u64(&mut self) -> u64 {
        let high = u64::from(self.next_u32());
        high << 32 | u64::from(self.next_u32())
    }

    /// Shows the 624 words and the place of the next.
    pub(super) fn keep(&mut self, memory: &mut Memory<'_>) {
        let mut words = self.state.to_vec();
        memory.keep("words", &mut words);
        memory.keep("next", &mut self.next);
        self.state.iter_mut().zip(words).for_each(|(word, kept)| *word = kept);
        self.next = self.next.min(N);
    }

    /// Word `i` follows from `i + 1` and `i + M`, counted round the state.
    fn twist(&mut self) {
        let state = &mut self.state;
        for i in 0..N - M {
            state[i] = state[i + M] ^ mixed(state[i], state[i + 1]);
        }
        for i in N - M..N - 1 {
            state[i] = state[i + M - N] ^ mixed(state[i], state[i + 1]);
        }
        state[N - 1] = state[M - 1] ^ mixed(state[N - 1], state[0]);
        self.next = 0;
    }
}

/// The upper bit of one word and the others of the next, times the twister's matrix.
fn mixed(word: u32, next: u32) -> u32 {
    let bits = (word & 0x8000_0000) | (next & 0x7fff_ffff);
    (bits >> 1) ^ (bits & 1).wrapping_neg() & 0x9908_b0df
}

/// A word of the state as a number.
fn tempered(mut y: u32) -> u32 {
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^ (y >> 18)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ten_thousandth_number_is_the_published_one() {
        // The C++ standard, [rand.predef]: the 10000th invocation of mt19937 (seed 5489) gives 4123659995.
        let mut engine = Mt19937::new(5489);
        let last = (0..10_000).map(|_| engine.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn many_are_one_by_one() {
        let (mut single, mut bulk) = (Mt19937::new(3), Mt19937::new(3));
        for n in [0, 1, 5, 617, 1, 624, 2000, 623, 1] {
            let expected: Vec<u32> = (0..n).map(|_| single.next_u32()).collect();
            assert_eq!(bulk.many(n, |word| word), expected);
        }
    }
}
