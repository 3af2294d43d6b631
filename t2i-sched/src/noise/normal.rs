//! Normally distributed numbers, as torch's CPU generator makes them.
//!
//! Torch has two ways: pairs in f64 for tensors of fewer than 16 values, and blocks of 16 in f32 for the others.
//! <https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/cpu/DistributionTemplates.h>

mod avx;

use std::f64::consts::PI;

use pulp::{Arch, Simd, WithSimd};

use super::mt19937::Mt19937;
use crate::Memory;

/// `torch.Generator()` on the CPU.
///
/// The values are those of torch on an x86 CPU with AVX2, bit for bit, for 16 values or more; for fewer they are to
/// rounding, since they pass through the system's `sin` and `cos`.
#[derive(Clone)]
pub struct Generator {
    engine: Mt19937,
    /// The second half of a pair, kept for the next draw of the small way.
    cached: Option<f64>,
}

impl Generator {
    /// `torch.Generator().manual_seed(seed)`. Torch uses the lower 32 bits of the seed.
    pub fn new(seed: u64) -> Self {
        Self { engine: Mt19937::new(seed), cached: None }
    }

    /// `torch.randn(n, generator=self)`: the next `n` values.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        if n < 16 {
            return (0..n).map(|_| self.next_of_pair() as f32).collect();
        }
        let mut values = self.rand(n);
        box_muller(&mut values);
        if !n.is_multiple_of(16) {
            // The last 16 values are drawn anew: some of them a second time.
            let tail = &mut values[n - 16..];
            tail.copy_from_slice(&self.rand(16));
            box_muller(tail);
        }
        values
    }

    /// `torch.rand(n, generator=self)`: the next `n` values, in `[0, 1)`.
    pub fn rand(&mut self, n: usize) -> Vec<f32> {
        self.engine.many(n, unit)
    }

    /// `torch.randint(0, 2 ** 63 - 1, [], generator=self)`: what k-diffusion and diffusers seed a Brownian path with, if
    /// they are given no seed.
    pub fn randint63(&mut self) -> u64 {
        self.engine.next_u64() % i64::MAX.cast_unsigned()
    }

    /// Shows the state of the generator.
    pub(super) fn keep(&mut self, memory: &mut Memory<'_>) {
        self.engine.keep(memory);
        memory.keep("cached", &mut self.cached);
    }

    /// The Box-Muller transform in f64, one value at a time.
    fn next_of_pair(&mut self) -> f64 {
        if let Some(cached) = self.cached.take() {
            return cached;
        }
        let (u1, u2) = (self.uniform_f64(), self.uniform_f64());
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let (sin, cos) = (2.0 * PI * u1).sin_cos();
        self.cached = Some(radius * sin);
        radius * cos
    }

    /// 53 random bits, in `[0, 1)`.
    fn uniform_f64(&mut self) -> f64 {
        (self.engine.next_u64() & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Generator")
    }
}

/// The lower 24 bits, in `[0, 1)`.
fn unit(word: u32) -> f32 {
    (word & 0x00ff_ffff) as f32 / (1 << 24) as f32
}

/// The Box-Muller transform in f32 of each whole block of 16 values, the first 8 with the last 8.
fn box_muller(values: &mut [f32]) {
    Arch::new().dispatch(Blocks::<8>(values));
}

/// The Box-Muller transform in f32 of each value with its neighbour. The same bits on every machine.
pub(super) fn pairs(values: &mut [f32]) {
    Arch::new().dispatch(Blocks::<1>(values));
}

/// Blocks of `2 * HALF` values, the first half of which goes with the second.
struct Blocks<'a, const HALF: usize>(&'a mut [f32]);

/// Compiled for each kind of CPU, since a fused product and sum is slow where the compiler may not count on the
/// instruction. Whatever is called here is inlined for that reason.
impl<const HALF: usize> WithSimd for Blocks<'_, HALF> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for block in self.0.chunks_exact_mut(2 * HALF) {
            let (first, second) = block.split_at_mut(HALF);
            first.iter_mut().zip(second).for_each(|(u, v)| [*u, *v] = pair(*u, *v));
        }
    }
}

/// The Box-Muller transform in f32: two normal values of two in `[0, 1)`.
#[inline(always)]
fn pair(u: f32, v: f32) -> [f32; 2] {
    let radius = (-2.0 * avx::ln(1.0 - u)).sqrt(); // 1 - [0, 1) has a logarithm
    let (sin, cos) = avx::sin_cos(std::f32::consts::TAU * v);
    [radius * cos, radius * sin]
}
