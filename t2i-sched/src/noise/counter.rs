//! Noise that depends on nothing but where it is asked for.

use burn::tensor::{Device, Tensor, TensorData};

use super::normal::pairs;
use super::philox::{halves, philox_4x32};
use super::{Noise, Seeded};
use crate::Memory;

/// Noise of an image and a draw, not of a sequence: what `(seed, image, draw)` gives is the same whichever images are
/// made beside it, in which order, and whatever was drawn before.
///
/// A batch is its images alone: image `i` of a batch of `Counter::new(seed, first)` is that of
/// `Counter::new(seed, first + i)`. Draw 0 is the first; a run that starts in the middle can [`seek`](Self::seek).
/// The numbers are no other program's. They are the same bits on every machine.
///
/// ```
/// use burn::tensor::Device;
/// use t2i_sched::{Counter, Noise};
///
/// let device = Device::flex();
/// let both = Counter::new(42, 0).sample([2, 4, 8, 8], &device);
/// let second = Counter::new(42, 1).sample([1, 4, 8, 8], &device);
/// assert_eq!(both.narrow(0, 1, 1).into_data(), second.into_data());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    seed: u64,
    first_image: u64,
    draw: u64,
}

impl Counter {
    /// The noise of `seed` for images `first_image`, `first_image + 1`, ..., from draw 0 on.
    pub fn new(seed: u64, first_image: u64) -> Self {
        Self { seed, first_image, draw: 0 }
    }

    /// Goes to draw number `draw`, forwards or backwards. There are `2^32` of them, and then the first again.
    pub fn seek(&mut self, draw: u64) {
        self.draw = draw;
    }

    /// The first `n` numbers of an image's noise in the current draw.
    fn image(&self, image: u64, n: usize) -> Vec<f32> {
        let (draw, [low, high]) = (self.draw as u32, halves(image));
        let block = |i| philox_4x32([i, draw, low, high], self.seed);
        let mut values: Vec<f32> = (0..n.div_ceil(4) as u32).flat_map(block).map(unit).collect();
        pairs(&mut values);
        values.truncate(n);
        values
    }
}

/// The upper 24 bits, in `[0, 1)`.
fn unit(word: u32) -> f32 {
    (word >> 8) as f32 / (1 << 24) as f32
}

/// As a source of single numbers, it is that of its first image.
impl Seeded for Counter {
    fn seeded(seed: u64) -> Self {
        Self::new(seed, 0)
    }

    fn randn(&mut self, n: usize) -> Vec<f32> {
        let values = self.image(self.first_image, n);
        self.draw = self.draw.wrapping_add(1);
        values
    }
}

impl Noise for Counter {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let [batch, channels, height, width] = shape;
        let images = (0..batch as u64).map(|i| self.first_image.wrapping_add(i));
        let values: Vec<f32> = images.flat_map(|image| self.image(image, channels * height * width)).collect();
        self.draw = self.draw.wrapping_add(1);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("seed", &mut self.seed);
        memory.keep("first_image", &mut self.first_image);
        memory.keep("draw", &mut self.draw);
    }
}
