//! Numbers that depend on a counter and a key alone: Philox 4x32-10, and torch's CUDA generator, which is made of it.
//! <https://www.thesalmons.org/john/random123/papers/random123sc11.pdf>

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};

use super::{Noise, Seeded};
use crate::Memory;

/// Four random words for a counter and a key.
pub(super) fn philox_4x32([mut a, mut b, mut c, mut d]: [u32; 4], key: u64) -> [u32; 4] {
    let [mut k0, mut k1] = halves(key);
    for _ in 0..10 {
        let [low_a, high_a] = halves(u64::from(a) * 0xd251_1f53);
        let [low_c, high_c] = halves(u64::from(c) * 0xcd9e_8d57);
        [a, b, c, d] = [high_c ^ b ^ k0, low_c, high_a ^ d ^ k1, low_a];
        (k0, k1) = (k0.wrapping_add(0x9e37_79b9), k1.wrapping_add(0xbb67_ae85));
    }
    [a, b, c, d]
}

/// The lower and the upper word.
pub(super) fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// `torch.Generator("cuda")`: A1111's "GPU" and "NV" seeds.
///
/// Element `i` of the `k`-th draw is made of the words of counter `(k, i)`. On a card it is so for as many elements as
/// the card runs threads, 40 000 to 300 000; in a larger draw a thread makes several elements, so that a card of
/// another size makes another picture. Here, as with A1111's "NV", every element has a counter of its own, however many
/// there are. A card takes a fast sine, which differs by some 3e-7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Philox {
    seed: u64,
    draw: u64,
}

impl Philox {
    /// `torch.Generator("cuda").manual_seed(seed)`.
    pub fn new(seed: u64) -> Self {
        Self { seed, draw: 0 }
    }

    /// `torch.randn(n, generator=self, device="cuda")`.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        let [low, high] = halves(self.draw);
        self.draw = self.draw.wrapping_add(1);
        let element = |i: u64| {
            let [i_low, i_high] = halves(i);
            normal(philox_4x32([low, high, i_low, i_high], self.seed))
        };
        (0..n as u64).map(element).collect()
    }
}

/// The Box-Muller transform of the first two words; its second value is thrown away.
fn normal([a, b, ..]: [u32; 4]) -> f32 {
    let uniform = |word: u32| (f64::from(word) + 0.5) * ANGLE_UNIT;
    let u = (f64::from(a) + 0.5) / (1u64 << 32) as f64;
    ((-2.0 * u.ln()).sqrt() * uniform(b).sin()) as f32
}

/// `2 pi / 2^32`, as curand rounds it.
const ANGLE_UNIT: f64 = (TAU / (1u64 << 32) as f64) as f32 as f64;

impl Seeded for Philox {
    fn seeded(seed: u64) -> Self {
        Self::new(seed)
    }

    fn randn(&mut self, n: usize) -> Vec<f32> {
        self.randn(n)
    }
}

/// One generator for the whole batch; a `Vec` of them is one an image, as in A1111.
impl Noise for Philox {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let values = self.randn(shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("seed", &mut self.seed);
        memory.keep("draw", &mut self.draw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_random123() {
        // `kat_vectors` of https://github.com/DEShawResearch/random123
        let known = [
            ([0; 4], 0, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], u64::MAX, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                0x299f_31d0_a409_3822,
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in known {
            assert_eq!(philox_4x32(counter, key), expected);
        }
    }

    fn near(found: &[f32], expected: &[f32], tolerance: f32) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < tolerance, "{found} for {expected}");
        }
    }

    #[test]
    fn known_answers_of_a_card() {
        // torch.manual_seed(0); torch.randn(3, 4, device="cuda"), as A1111's modules/rng_philox.py states it. The fast
        // sine of the card makes the difference.
        let expected = [-0.924_662_6, -0.42534415, -2.6438457, 0.14518388, -0.12086647, -0.579_725_6];
        near(&Philox::new(0).randn(12), &expected, 3e-7);
    }

    #[test]
    fn a_card_counts_draws_and_not_numbers() {
        // torch.manual_seed(0), then randn of 80, 10 and 80 on a card, printed by a lecture on Triton and CUDA.
        let mut philox = Philox::new(0);
        near(&philox.randn(80)[76..], &[0.3805, -0.0436, 0.3597, -0.5043], 6e-5);
        near(&philox.randn(10), &[0.1808, -0.5523, 0.9238, -0.7350], 6e-5);
        near(&philox.randn(80), &[2.5441, -0.7163, -0.4934, 0.1267, 0.1014], 6e-5);
    }
}
