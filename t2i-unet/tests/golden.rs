//! Tiny random networks of every kind give what diffusers gives. `tests/golden/make_unet.py` made the numbers.
#![allow(clippy::print_stdout)]

#[path = "../../tests/support/device.rs"]
mod device;

use std::path::PathBuf;

use burn::tensor::{DType, FloatDType, Tensor};
use device::{arithmetic, computed, device};
use t2i_core::{Options, Weights};
use t2i_unet::{Conditioning, UNet, UNetConfig};

/// Of the largest value of the reference: both sides compute in f32, in another order.
const TOLERANCE: f32 = 2e-5;

const SIZES: [&str; 3] = ["16x8", "5x7", "9x11"];

fn golden(path: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../tests/golden/unet", path].iter().collect()
}

fn load(case: &str, dtype: FloatDType) -> UNet {
    let options = Options::read(&golden(&format!("{case}/config.json"))).expect("the config is there");
    let config = UNetConfig::from_options(options).expect("every option is supported");
    let weights = Weights::open(&golden(&format!("{case}/weights.safetensors"))).expect("the weights are there");
    weights.load(config.init(&device()), dtype).expect("every tensor has its place")
}

/// The named tensors of a file.
struct Golden(Weights);

impl Golden {
    fn open(path: &str) -> Self {
        Self(Weights::open(&golden(path)).expect("the reference is there"))
    }

    fn get<const D: usize>(&self, name: &str) -> Tensor<D> {
        self.try_get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    fn try_get<const D: usize>(&self, name: &str) -> Option<Tensor<D>> {
        self.0.shape(name)?;
        let data = self.0.read(name).expect("it is there");
        Some(Tensor::from_data(data, (&device(), DType::F32)))
    }

    fn conditioning(&self, run: &str) -> Conditioning {
        Conditioning {
            context: self.get(&format!("{run}.context")),
            pooled: self.try_get(&format!("{run}.pooled")),
            time_ids: self.try_get(&format!("{run}.time_ids")),
            guidance: self.try_get(&format!("{run}.guidance")),
        }
    }
}

/// The largest difference, relative to the largest value of the reference.
fn error<const D: usize>(got: Tensor<D>, expected: Tensor<D>) -> f32 {
    assert_eq!(got.dims(), expected.dims());
    assert_eq!(got.dtype(), DType::F32);
    assert!(got.clone().is_finite().all().into_scalar::<bool>(), "NaN or infinity");
    let largest: f32 = expected.clone().abs().max().into_scalar();
    (got - expected).abs().max().into_scalar::<f32>() / largest
}

fn check(case: &str) {
    let unet = load(case, FloatDType::F32);
    let runs = Golden::open(&format!("{case}/runs.safetensors"));
    for run in SIZES {
        let got = forward(&unet, &runs, run);
        let error = error(got, runs.get(&format!("{run}.output")));
        println!("parity | UNet, one call | {case} {run} | {TOLERANCE:.1e} | {error:.1e}");
        assert!(error <= TOLERANCE, "{case} {run}: {error:e}");
    }
}

fn forward(unet: &UNet, runs: &Golden, run: &str) -> Tensor<4> {
    let (x, timesteps) = (runs.get(&format!("{run}.x")), runs.get(&format!("{run}.timesteps")));
    unet.forward(x, timesteps, &runs.conditioning(run))
}

macro_rules! cases {
    ($($case:ident)*) => { $(#[test] fn $case() { check(stringify!($case)); })* };
}

cases! { sd1 sd2 xl refiner inpaint pix2pix lcm small_sd tiny_sd ssd mixed options relu }

/// Without the guidance scale's embedding the projection is skipped, as in diffusers.
#[test]
fn guidance_has_an_effect_and_may_be_absent() {
    let unet = load("lcm", FloatDType::F32);
    let runs = Golden::open("lcm/runs.safetensors");
    let mut conditioning = runs.conditioning("5x7");
    conditioning.guidance = None;
    let without = unet.forward(runs.get("5x7.x"), runs.get("5x7.timesteps"), &conditioning);
    assert!(error(without, runs.get("5x7.output")) > 0.01);
}

#[test]
fn a_batch_gives_what_its_samples_give() {
    for case in ["sd1", "xl", "lcm"] {
        let unet = load(case, FloatDType::F32);
        let runs = Golden::open(&format!("{case}/runs.safetensors"));
        let both = runs.conditioning("9x11");
        for sample in 0..2 {
            let only = |t: &Tensor<2>| t.clone().narrow(0, sample, 1);
            let conditioning = Conditioning {
                context: both.context.clone().narrow(0, sample, 1),
                pooled: both.pooled.as_ref().map(only),
                time_ids: both.time_ids.as_ref().map(only),
                guidance: both.guidance.as_ref().map(only),
            };
            let x = runs.get::<4>("9x11.x").narrow(0, sample, 1);
            let timesteps = runs.get::<1>("9x11.timesteps").narrow(0, sample, 1);
            let expected = runs.get::<4>("9x11.output").narrow(0, sample, 1);
            let error = error(unet.forward(x, timesteps, &conditioning), expected);
            assert!(error <= TOLERANCE, "{case}, sample {sample}: {error:e}");
        }
    }
}

/// What weights of 11 and 8 bits of mantissa lose over some dozen layers, whose arithmetic is f32 on a CPU.
/// diffusers, which computes in halves, loses up to 0.007 and 0.054 here.
#[test]
fn half_types_stay_close() {
    for (dtype, tolerance) in computed([(FloatDType::F16, 0.01), (FloatDType::BF16, 0.12)]) {
        for case in ["sd2", "xl", "ssd"] {
            let unet = load(case, dtype);
            assert_eq!(unet.dtype(), arithmetic(dtype).into());
            let runs = Golden::open(&format!("{case}/runs.safetensors"));
            let error = error(forward(&unet, &runs, "9x11"), runs.get("9x11.output"));
            println!("parity | UNet, one call, {dtype:?} | {case} | {tolerance:.1e} | {error:.1e}");
            assert!(error <= tolerance, "{case} {dtype:?}: {error:e}");
        }
    }
}

#[test]
#[should_panic(expected = "9")]
fn a_latent_with_other_channels_is_a_mistake_of_the_caller() {
    let unet = load("inpaint", FloatDType::F32);
    forward(&unet, &Golden::open("sd1/runs.safetensors"), "5x7");
}

#[test]
#[should_panic(expected = "pooled text")]
fn a_network_of_xl_needs_pooled_text() {
    let unet = load("xl", FloatDType::F32);
    assert!(unet.config().needs_added_conditioning());
    forward(&unet, &Golden::open("sd1/runs.safetensors"), "5x7");
}
