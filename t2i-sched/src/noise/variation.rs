//! Variation seeds: noise between that of two seeds.

use burn::tensor::{Device, Tensor, TensorData};

use super::{Noise, Seeded};
use crate::Memory;

/// A1111's "variation seed" and "variation strength": the first draw, the noise that a picture is made of, lies between
/// the noises of two seeds, on the arc at `strength` from 0 (the first seed's) to 1 (the second's). Later draws are the
/// first seed's.
///
/// Each image has a seed and a variation seed of its own; where there are more seeds than variation seeds, the missing
/// ones are 0, as in A1111. `S` is the generator: [`Generator`](crate::Generator) for A1111's "CPU",
/// [`Philox`](crate::Philox) for its "NV".
///
/// # Panics
/// [`sample`](Noise::sample) panics if there are fewer seeds than images.
#[derive(Debug, Clone)]
pub struct Variation<S> {
    sources: Vec<S>,
    others: Vec<u64>,
    strength: f64,
    drawn: bool,
}

impl<S: Seeded> Variation<S> {
    /// The noises of `seeds`, at `strength` towards those of `variation_seeds`.
    pub fn new(seeds: &[u64], variation_seeds: &[u64], strength: f64) -> Self {
        let others = (0..seeds.len()).map(|i| variation_seeds.get(i).copied().unwrap_or(0)).collect();
        Self { sources: seeds.iter().map(|seed| S::seeded(*seed)).collect(), others, strength, drawn: false }
    }
}

impl<S: Seeded> Noise for Variation<S> {
    fn sample(&mut self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let [batch, channels, height, width] = shape;
        assert!(self.sources.len() >= batch, "one seed an image");
        let (n, strength) = (channels * height * width, self.strength);
        let varied = !self.drawn && strength != 0.0;
        let image = |(source, other): (&mut S, &u64)| match (source.randn(n), varied) {
            (noise, true) => slerp(strength, &noise, &S::seeded(*other).randn(n), height, width),
            (noise, false) => noise,
        };
        let values: Vec<f32> = self.sources.iter_mut().zip(&self.others).take(batch).flat_map(image).collect();
        self.drawn = true;
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn remember(&mut self, memory: &mut Memory<'_>) {
        memory.keep("strength", &mut self.strength);
        memory.keep("drawn", &mut self.drawn);
        for (i, (source, other)) in self.sources.iter_mut().zip(&mut self.others).enumerate() {
            memory.part(&i.to_string(), |memory| {
                memory.keep("other", other);
                source.remember(memory);
            });
        }
    }
}

/// The point at `share` of the arc from `low` to `high`, both `[channels, height, width]`.
///
/// As A1111 does it: each column of each channel turns by its own angle. Where the cosines are above 0.9995 on average,
/// all turn into a straight mixture, in which A1111 takes the share for the other end's. Columns without an angle (of
/// one number, or of zeros), where A1111's are NaN, mix straight as well.
fn slerp(share: f64, low: &[f32], high: &[f32], height: usize, width: usize) -> Vec<f32> {
    let columns = low.len() / height.max(1);
    let places = |column: usize| (0..height).map(move |row| (column / width * height + row) * width + column % width);
    let cosines: Vec<f64> = (0..columns).map(|column| cosine(low, high, places(column))).collect();
    let close = cosines.iter().sum::<f64>() / columns as f64 > 0.9995;
    let mut mixed = low.to_vec();
    for (column, cosine) in cosines.into_iter().enumerate() {
        let (a, b) = if close { (share, 1.0 - share) } else { weights(share, cosine) };
        places(column).for_each(|i| mixed[i] = (a * f64::from(low[i]) + b * f64::from(high[i])) as f32);
    }
    mixed
}

/// The cosine of the angle between two vectors; 1 if one of them is 0.
fn cosine(a: &[f32], b: &[f32], places: impl Iterator<Item = usize>) -> f64 {
    let pairs = places.map(|i| (f64::from(a[i]), f64::from(b[i])));
    let add = |(aa, bb, ab), (a, b): (f64, f64)| (aa + a * a, bb + b * b, ab + a * b);
    let (aa, bb, ab) = pairs.fold((0.0, 0.0, 0.0), add);
    let norms = (aa * bb).sqrt();
    if norms > 0.0 { (ab / norms).clamp(-1.0, 1.0) } else { 1.0 }
}

/// What both ends count, `share` of the way along an arc of this cosine.
fn weights(share: f64, cosine: f64) -> (f64, f64) {
    let angle = cosine.acos();
    let sine = angle.sin();
    if sine < 1e-6 {
        return (1.0 - share, share);
    }
    (((1.0 - share) * angle).sin() / sine, (share * angle).sin() / sine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_an_angle_mix_straight() {
        assert_eq!(slerp(0.25, &[1.0, 2.0, 1.0], &[3.0, -2.0, -1.0], 1, 3), [1.5, 1.0, 0.5]);
        assert_eq!(slerp(0.25, &[0.0, 0.0], &[0.0, -4.0], 2, 1), [0.0, -3.0]); // close, with the ends exchanged
        assert!(slerp(0.5, &[], &[], 0, 0).is_empty());
    }

    #[test]
    fn a_quarter_turn_is_halved() {
        let half = 0.5f64.sqrt() as f32;
        assert_eq!(slerp(0.5, &[1.0, 0.0], &[0.0, 1.0], 2, 1), [half, half]);
    }
}
