//! Tiny random codecs compute what diffusers computes with them: every tensor within 2e-5 of its largest value.

#![allow(clippy::print_stderr, reason = "the table of errors")]

mod common;

use burn::tensor::{DType, FloatDType, Tensor};
use common::{Golden, arithmetic, assert_close, codec, computed, device, error};
use t2i_vae::{Codec, Posterior, Tiling};

const KL: [&str; 3] = ["sd", "flux", "no_attention"];
const TINY: [&str; 2] = ["tiny", "tiny_shifted"];

fn each(mut check: impl FnMut(&str, &Codec, &Golden)) {
    for case in KL.into_iter().chain(TINY) {
        check(case, &codec(case, FloatDType::F32), &Golden::open(&format!("{case}/runs.safetensors")));
    }
}

/// The tiles of a golden run: their size and what they share.
fn tiling(golden: &Golden) -> Tiling {
    let tile: Vec<f32> = golden.tensor::<1>("tile").into_data().try_to_vec().expect("f32");
    Tiling::new(tile[0] as usize, tile[1] as usize).expect("a smaller overlap")
}

fn encode(codec: &Codec, golden: &Golden, run: &str) -> Posterior {
    let pixels = golden.tensor(&format!("{run}.pixels"));
    match run.starts_with("tiled") {
        true => codec.encode_tiled(pixels, &tiling(golden)),
        false => codec.encode(pixels),
    }
}

fn decode(codec: &Codec, golden: &Golden, run: &str) -> Tensor<4> {
    let z = golden.tensor(&format!("{run}.z"));
    match run.starts_with("tiled") {
        true => codec.decode_tiled(z, &tiling(golden)),
        false => codec.decode(z),
    }
}

#[test]
fn pictures_have_the_latents_of_diffusers() {
    each(|case, codec, golden| {
        for run in golden.runs("pixels") {
            let posterior = encode(codec, golden, &run);
            let expected = golden.tensor(&format!("{run}.latent"));
            assert_close(&format!("{case} {run} encode"), posterior.mode(), expected);
            assert_eq!(posterior.is_random(), KL.contains(&case));
        }
    });
}

#[test]
fn draws_are_those_of_diffusers() {
    for case in KL {
        let (codec, golden) = (codec(case, FloatDType::F32), Golden::open(&format!("{case}/runs.safetensors")));
        for run in golden.runs("noise") {
            let of = |key: &str| golden.tensor::<4>(&format!("{run}.{key}"));
            let posterior = encode(&codec, &golden, &run);
            let log_variance = posterior.log_variance().expect("a variance");
            assert_close(&format!("{case} {run} mean"), posterior.mean(), of("mean"));
            assert_close(&format!("{case} {run} log variance"), log_variance, of("logvar"));
            assert_close(&format!("{case} {run} sample"), posterior.sample(of("noise")), of("sample"));
        }
    }
}

#[test]
fn latents_have_the_pictures_of_diffusers() {
    each(|case, codec, golden| {
        for run in golden.runs("z") {
            let expected = golden.tensor(&format!("{run}.decoded"));
            assert_close(&format!("{case} {run} decode"), decode(codec, golden, &run), expected);
        }
    });
}

#[test]
fn one_tile_is_the_whole_picture() {
    each(|case, codec, golden| {
        let run = &golden.runs("z")[0];
        let z = golden.tensor::<4>(&format!("{run}.z"));
        let whole = Tiling::new(z.dims().into_iter().max().expect("four"), 1).expect("smaller");
        let (tiled, plain) = (codec.decode_tiled(z.clone(), &whole), codec.decode(z));
        assert_eq!(tiled.into_data(), plain.into_data(), "{case}");
    });
}

#[test]
fn a_batch_is_its_pictures_one_by_one() {
    each(|case, codec, golden| {
        let z = golden.tensor::<4>("6x5.z");
        let batch = codec.decode(z.clone());
        for i in 0..2 {
            let alone = codec.decode(z.clone().slice_dim(0, i..i + 1));
            assert_close(case, batch.clone().slice_dim(0, i..i + 1), alone);
        }
    });
}

#[test]
fn one_picture_has_as_many_draws_as_there_is_noise() {
    let codec = codec("sd", FloatDType::F32);
    let golden = Golden::open("sd/runs.safetensors");
    let pixels = golden.tensor::<4>("32x24.pixels").slice_dim(0, 0..1);
    let noise = golden.tensor::<4>("32x24.noise");
    let posterior = codec.encode(pixels);
    let both = posterior.sample(noise.clone());
    assert_eq!(both.dims(), noise.dims());
    let second = posterior.sample(noise.slice_dim(0, 1..2));
    assert_eq!(both.slice_dim(0, 1..2).into_data(), second.into_data());
}

/// The published tilings: of the training size with a quarter shared, and of 512 pixels with an eighth.
#[test]
fn tiles_are_those_of_diffusers() {
    let quarter = Tiling::new(8, 2).expect("smaller");
    assert_eq!([codec("sd", FloatDType::F32).tiling(), codec("flux", FloatDType::F32).tiling()], [quarter; 2]);
    assert_eq!(codec("tiny", FloatDType::F32).tiling(), Tiling::new(64, 8).expect("smaller"));
}

/// bf16 has 8 bits of mantissa, f16 has 11; the arithmetic on a CPU is that of f32.
#[test]
fn weights_of_halves_stay_close() {
    for (dtype, tolerance) in computed([(FloatDType::BF16, 5e-2), (FloatDType::F16, 6e-3)]) {
        for case in ["flux", "tiny"] {
            let (codec, golden) = (codec(case, dtype), Golden::open(&format!("{case}/runs.safetensors")));
            assert_eq!(codec.dtype(), arithmetic(dtype));
            let (z, pixels) = (golden.tensor("6x5.z"), golden.tensor("32x24.pixels"));
            let (decoded, latent) = (codec.decode(z), codec.encode(pixels).mode());
            assert_eq!([decoded.dtype(), latent.dtype()], [DType::F32; 2]);
            for (got, key) in [(decoded, "6x5.decoded"), (latent, "32x24.latent")] {
                let error = error(&got, &golden.tensor(key));
                eprintln!("{case} {dtype:?} {key}: {error:.1e}");
                assert!(error <= tolerance, "{case} {dtype:?} {key}: {error:e}");
            }
        }
    }
}

#[test]
fn nan_goes_through_and_stays_visible() {
    let codec = codec("sd", FloatDType::F32);
    let nan = Tensor::full([1, 4, 4, 4], f32::NAN, &device());
    assert!(codec.decode(nan).is_nan().all().into_scalar::<bool>());
}
