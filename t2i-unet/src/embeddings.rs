//! Numbers as vectors: timesteps, picture sizes, guidance scales.

use std::f64::consts::TAU;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};
use t2i_kernels::ops::linear;

use crate::activation::Activation;

/// The longest period of a sinusoid is `2 pi` times this.
const MAX_PERIOD: f32 = 10_000.0;

/// What a [`TimestepEmbedding`] looks like.
pub(crate) struct TimestepEmbeddingConfig {
    pub(crate) dim_in: usize,
    pub(crate) dim_out: usize,
    pub(crate) cond_proj_dim: Option<usize>,
    pub(crate) act: Activation,
    pub(crate) post_act: Option<Activation>,
}

/// Two linear layers on a sinusoid.
#[derive(Module, Debug)]
pub(crate) struct TimestepEmbedding {
    linear_1: Linear,
    cond_proj: Option<Linear>,
    linear_2: Linear,
    #[module(skip)]
    act: Activation,
    #[module(skip)]
    post_act: Option<Activation>,
}

/// The sinusoid of a timestep, diffusers' `Timesteps`: `cos(f_i t)` and `sin(f_i t)` for frequencies `f_i` from 1 down
/// to `1 / 10000`. [Ho et al. 2020](https://arxiv.org/abs/2006.11239), appendix B.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timesteps {
    pub(crate) dim: usize,
    pub(crate) flip_sin_to_cos: bool,
    pub(crate) freq_shift: f64,
}

impl TimestepEmbeddingConfig {
    pub(crate) fn init(&self, device: &Device) -> TimestepEmbedding {
        let condition = |dim| LinearConfig::new(dim, self.dim_in).with_bias(false).init(device);
        TimestepEmbedding {
            linear_1: LinearConfig::new(self.dim_in, self.dim_out).init(device),
            cond_proj: self.cond_proj_dim.map(condition),
            linear_2: LinearConfig::new(self.dim_out, self.dim_out).init(device),
            act: self.act,
            post_act: self.post_act,
        }
    }
}

impl TimestepEmbedding {
    /// # Shapes
    /// - x: `[batch, dim_in]`
    /// - condition: `[batch, cond_proj_dim]`
    /// - output: `[batch, dim_out]`
    ///
    /// # Panics
    /// If there is a condition but the network has no `cond_proj_dim`.
    pub(crate) fn forward(&self, x: Tensor<2>, condition: Option<Tensor<2>>) -> Tensor<2> {
        let x = match condition {
            None => x,
            Some(condition) => {
                let projection = self.cond_proj.as_ref().expect("guidance is for networks with time_cond_proj_dim");
                x + linear(projection, condition)
            }
        };
        let x = linear(&self.linear_2, self.act.forward(linear(&self.linear_1, x)));
        self.post_act.map_or(x.clone(), |act| act.forward(x))
    }
}

impl Timesteps {
    /// In f32 whatever the network's type: f16 cannot tell 998.6 from 999.
    ///
    /// # Shapes
    /// - t: `[n]`, any numbers
    /// - output: `[n, dim]`
    pub(crate) fn forward(&self, t: Tensor<1>) -> Tensor<2> {
        let half = self.dim / 2;
        let divisor = half as f32 - self.freq_shift as f32;
        let frequency = |i| exp(-MAX_PERIOD.ln() * i as f32 / divisor);
        let (sin, cos) = sinusoid(t, (0..half).map(frequency).collect());
        let waves = if self.flip_sin_to_cos { vec![cos, sin] } else { vec![sin, cos] };
        padded(waves, self.dim)
    }
}

/// The embedding of a guidance scale, for networks that were distilled to guide themselves: `w` is the usual scale
/// minus 1, `dim` the config's `time_cond_proj_dim`.
/// [On Distillation of Guided Diffusion Models](https://arxiv.org/abs/2210.03142), as latent consistency models use it.
///
/// # Shapes
/// - w: `[batch]`
/// - output: `[batch, dim]`, for [`Conditioning::guidance`](crate::Conditioning::guidance)
pub fn guidance_embedding(w: Tensor<1>, dim: usize) -> Tensor<2> {
    let half = dim / 2;
    let step = -(MAX_PERIOD.ln() / (half as f32 - 1.0));
    let frequencies = (0..half).map(|i| exp(i as f32 * step)).collect();
    let (sin, cos) = sinusoid(w.cast(DType::F32) * 1000.0, frequencies);
    padded(vec![sin, cos], dim)
}

/// Sine and cosine of every product of a number and a frequency. `[n, frequencies]`
fn sinusoid(t: Tensor<1>, frequencies: Vec<f32>) -> (Tensor<2>, Tensor<2>) {
    let frequencies = Tensor::<1>::from_data(frequencies.as_slice(), (&t.device(), DType::F32));
    let angle = t.cast(DType::F32).unsqueeze_dim::<2>(1) * frequencies.unsqueeze_dim::<2>(0);
    let angle = within_one_turn(angle);
    (angle.clone().sin(), angle.cos())
}

/// The angle minus whole turns, because GPUs promise an exact sine between `-pi` and `pi` only.
///
/// A turn is subtracted in two parts, of which the first has so few bits that its product with any number of turns
/// is exact. (W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980.)
fn within_one_turn(angle: Tensor<2>) -> Tensor<2> {
    const COARSE: f64 = 6.28125;
    let turns = (angle.clone() / TAU).round();
    angle - turns.clone() * COARSE - turns * (TAU - COARSE)
}

/// Rounded once. Computed in f32, the last bit would be the platform's choice, and a thousand times it shows.
fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}

/// Side by side, with a zero at the end if `dim` is odd.
fn padded(mut waves: Vec<Tensor<2>>, dim: usize) -> Tensor<2> {
    let [n, half] = waves[0].dims();
    if dim > 2 * half {
        waves.push(Tensor::zeros([n, 1], (&waves[0].device(), DType::F32)));
    }
    Tensor::cat(waves, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use t2i_core::Weights;

    fn reference<const D: usize>(name: &str) -> Tensor<D> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/unet/embeddings.safetensors");
        let weights = Weights::open(path.as_ref()).expect("the reference is there");
        Tensor::from_data(weights.read(name).expect("it is there"), (&Device::flex(), DType::F32))
    }

    /// torch's exponential (Intel's library) gives about one frequency in a hundred another last bit than the
    /// correctly rounded one has. So nearly every value must agree to 1e-6, and each to the two roundings, `2^-22`,
    /// of its angle.
    fn check(got: Tensor<2>, name: &str, largest_angles: Tensor<1>, shift: f64) {
        let expected = reference::<2>(name);
        assert_eq!(got.dims(), expected.dims(), "{name}");
        let [_, dim] = got.dims();
        let angles: Vec<f32> = largest_angles.into_data().try_to_vec().expect("f32");
        let got: Vec<f32> = got.into_data().try_to_vec().expect("f32");
        let expected: Vec<f32> = expected.into_data().try_to_vec().expect("f32");
        let mut off = 0;
        for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let (half, column) = (dim / 2, i % dim % (dim / 2));
            let frequency = 1e4f64.powf(-(column as f64) / (half as f64 - shift));
            let angle = f64::from(angles[i / dim]) * frequency;
            let difference = f64::from((got - expected).abs());
            assert!(difference <= 1e-6 + angle / f64::from(1 << 22), "{name} {i}: {got} is not {expected}");
            off += usize::from(difference > 1e-6);
        }
        assert!(off * 50 <= expected.len(), "{name}: {off} of {} values are off", expected.len());
    }

    #[test]
    fn sinusoids_of_timesteps_and_sizes_are_those_of_diffusers() {
        let t = || reference::<1>("timesteps");
        let timesteps = |dim, flip_sin_to_cos, freq_shift| Timesteps { dim, flip_sin_to_cos, freq_shift }.forward(t());
        check(timesteps(320, true, 0.0), "cos_sin_320", t(), 0.0);
        check(timesteps(256, true, 0.0), "cos_sin_256", t(), 0.0);
        check(timesteps(32, false, 1.0), "sin_cos_32_shift_1", t(), 1.0);
        check(timesteps(9, true, 0.0), "cos_sin_9", t(), 0.0);
    }

    #[test]
    fn guidance_embeddings_are_those_of_latent_consistency_models() {
        for dim in [256, 7] {
            let w = reference::<1>("scales");
            check(guidance_embedding(w.clone(), dim), &format!("guidance_{dim}"), w * 1000.0, 1.0);
        }
    }
}
