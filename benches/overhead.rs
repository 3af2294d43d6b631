//! What a step costs beside the model: `cargo bench --bench overhead`, and with `RAYON_NUM_THREADS=1` for one thread.
//! `benches/peers/overhead.py` times the same steps of diffusers and k-diffusion.
#![allow(missing_docs, reason = "a program")]

use burn::tensor::{Device, Tensor};
use divan::{Bencher, black_box};
use t2i_sched::{Level, Noise, Recipe, Sampler, Schedule, Setup, SharedNoise};

const SAMPLERS: [&str; 8] = ["Euler", "Euler a", "Heun", "DPM++ 2M", "DPM++ 2M SDE", "UniPC", "LMS", "DDIM"];
/// More than enough for the steps of a measurement to be all of one run.
const STEPS: usize = 1000;

fn main() {
    if std::env::args().any(|argument| argument == "--bench") {
        divan::main();
    }
}

#[divan::bench(args = SAMPLERS, sample_count = 200, sample_size = 5)]
fn latent_1_4_64_64(bencher: Bencher<'_, '_>, name: &str) {
    step(bencher, name, [1, 4, 64, 64]);
}

#[divan::bench(args = SAMPLERS, sample_count = 200, sample_size = 5)]
fn latents_2_4_128_128(bencher: Bencher<'_, '_>, name: &str) {
    step(bencher, name, [2, 4, 128, 128]);
}

/// One step in the middle of a run, after another, so that multistep samplers have their history.
fn step(bencher: Bencher<'_, '_>, name: &str, shape: [usize; 4]) {
    let recipe: Recipe = name.parse().expect("a name of the table");
    let levels = recipe.levels(&Schedule::stable_diffusion(), 0.0292, 14.6146, STEPS).expect("a plain range");
    let mut noise = SharedNoise::seeded(0);
    let mut x = noise.sample(shape, &Device::flex()).mul_scalar(levels[0].sigma);
    let mut sampler = recipe.sampler.build(&Setup::new(&levels, &noise));
    let mut denoise = |x: Tensor<4>, _: Level| x.mul_scalar(1.0);
    let mut i = 0;
    bencher.bench_local(|| {
        x = sampler.step(x.clone(), levels[i], levels[i + 1], &mut denoise);
        i = (i + 1) % (STEPS - 10);
        black_box(&x);
    });
}
