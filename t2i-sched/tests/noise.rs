//! Noise beside torch's CPU generator: against `tests/golden/make_noise.py`, and what holds whatever the numbers.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use burn::tensor::{Device, Tensor};
use common::{parity, values};
use t2i_sched::samplers::EulerAncestral;
use t2i_sched::{Counter, Generator, Level, Memory, Noise, Philox, Seeded, SharedNoise, State, Variation, try_steps};

const PHILOX: f64 = 1e-7;
/// Through the angle of f32 numbers.
const VARIATION: f64 = 1e-6;
/// Ours are the same bits everywhere because the angle is in f32: a last bit of 2 pi is 5e-7.
const COUNTER: f64 = 1e-6;

fn golden() -> HashMap<String, Vec<f32>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/noise/noise.safetensors");
    common::load(path).into_iter().map(|(name, (_, values))| (name, values)).collect()
}

fn draw(noise: &mut dyn Noise, shape: [usize; 4]) -> Vec<f32> {
    values(noise.sample(shape, &Device::flex()))
}

/// Whether the largest difference is within a share of the largest expected value.
fn check(part: &str, case: &str, found: &[f32], expected: &[f32], tolerance: f64) {
    let error = common::error(found, expected);
    parity(part, case, tolerance, error);
    assert!(error <= tolerance, "{part}, {case}: {error:e}");
}

fn check_variation<S: Seeded>(arguments: &[f64], case: &str, expected: &[f32]) {
    let &[seed, other, strength] = arguments else { panic!("{case}") };
    let mut noise = Variation::<S>::new(&[seed as u64], &[other as u64], strength);
    let found = [draw(&mut noise, [1, 4, 5, 6]), draw(&mut noise, [1, 4, 5, 6])].concat();
    check("noise, variation", case, &found, expected, VARIATION);
}

#[test]
fn noise_is_that_of_the_reference() {
    let golden = golden();
    assert!(golden.len() > 20);
    for (name, expected) in golden {
        let (kind, arguments) = name.split_once('|').unwrap();
        let arguments: Vec<&str> = arguments.split(',').collect();
        let whole = |i: usize| arguments[i].parse::<u64>().unwrap();
        let real = |i: usize| arguments[i].parse::<f64>().unwrap();
        match kind {
            "philox" => {
                let mut philox = Philox::new(whole(0));
                let found = [12, 5, 300].map(|n| philox.randn(n)).concat();
                check("noise, CUDA", &name, &found, &expected, PHILOX);
            }
            "counter" => {
                let mut counter = Counter::new(whole(0), whole(1));
                counter.seek(whole(2));
                check("noise, by number", &name, &draw(&mut counter, [1, 1, 1, 37]), &expected, COUNTER);
            }
            _ if arguments[0] == "cpu" => check_variation::<Generator>(&[real(1), real(2), real(3)], &name, &expected),
            _ => check_variation::<Philox>(&[real(1), real(2), real(3)], &name, &expected),
        }
    }
}

#[test]
fn a_batch_by_number_is_its_images_alone() {
    let (seed, n) = (42, 5);
    let mut batch = Counter::new(seed, 3);
    let both = [draw(&mut batch, [n, 4, 6, 5]), draw(&mut batch, [n, 4, 6, 5])];
    for image in (0..n).rev() {
        let mut alone = Counter::new(seed, 3 + image as u64);
        for whole in &both {
            assert_eq!(draw(&mut alone, [1, 4, 6, 5]), whole[image * 120..(image + 1) * 120]);
        }
    }
}

#[test]
fn noise_by_number_does_not_depend_on_what_was_drawn_before() {
    let mut sequence = Counter::new(1, 0);
    let draws: Vec<Vec<f32>> = (0..4).map(|_| draw(&mut sequence, [2, 3, 4, 5])).collect();
    for i in [2, 0, 3, 1] {
        sequence.seek(i as u64);
        assert_eq!(draw(&mut sequence, [2, 3, 4, 5]), draws[i]);
    }
    let other = |mut counter: Counter| draw(&mut counter, [2, 3, 4, 5]);
    for different in [other(Counter::new(2, 0)), other(Counter::new(1, 1)), draws[1].clone()] {
        assert!(draws[0].iter().zip(&different).all(|(a, b)| a != b));
    }
}

/// Mean 0, variance 1, kurtosis 3, no trace of the draw before: each within five deviations of what chance does to a
/// million numbers.
fn check_normal(name: &str, mut source: impl Seeded) {
    let n = 1_000_000;
    let (x, y) = (source.randn(n), source.randn(n));
    let mean =
        |f: fn(f64, f64) -> f64| x.iter().zip(&y).map(|(x, y)| f(f64::from(*x), f64::from(*y))).sum::<f64>() / n as f64;
    let bound = |variance: f64| 5.0 * (variance / n as f64).sqrt();
    assert!(mean(|x, _| x).abs() < bound(1.0), "{name}, mean");
    assert!((mean(|x, _| x * x) - 1.0).abs() < bound(2.0), "{name}, variance");
    assert!(mean(|x, _| x.powi(3)).abs() < bound(15.0), "{name}, skewness");
    assert!((mean(|x, _| x.powi(4)) - 3.0).abs() < bound(96.0), "{name}, kurtosis");
    assert!(mean(|x, y| x * y).abs() < bound(1.0), "{name}, draws");
    let neighbours: f64 = x.windows(2).map(|pair| f64::from(pair[0] * pair[1])).sum::<f64>() / n as f64;
    assert!(neighbours.abs() < bound(1.0), "{name}, neighbours");
}

#[test]
fn noise_is_normal() {
    check_normal("counter", Counter::new(7, 0));
    check_normal("philox", Philox::new(7));
    check_normal("generator", Generator::new(7));
}

#[test]
fn a_variation_of_an_image_does_not_depend_on_the_others() {
    let mut both = SharedNoise::variation::<Philox>(&[1, 2], &[3, 4], 0.4);
    let mut second = SharedNoise::variation::<Philox>(&[2], &[4], 0.4);
    for _ in 0..2 {
        assert_eq!(draw(&mut both, [2, 4, 5, 6])[120..], draw(&mut second, [1, 4, 5, 6]));
    }
}

#[test]
fn the_ends_of_a_variation_are_the_two_seeds() {
    let at = |strength| draw(&mut SharedNoise::variation::<Generator>(&[1], &[2], strength), [1, 4, 5, 6]);
    let seed = |seed| draw(&mut SharedNoise::seeded(seed), [1, 4, 5, 6]);
    assert_eq!(at(0.0), seed(1));
    let near = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near(at(1e-9), seed(1)) && near(at(1.0), seed(2)));
}

/// Every kind of source, from two seeds.
fn sources(seed: u64) -> Vec<(&'static str, SharedNoise)> {
    let seeds = [seed, seed + 1];
    vec![
        ("generator", SharedNoise::seeded(seed)),
        ("generators", SharedNoise::seeded_each(&seeds)),
        ("philox", SharedNoise::philox(seed)),
        ("philox each", SharedNoise::each::<Philox>(&seeds)),
        ("counter", SharedNoise::counter(seed, 5 * seed)),
        ("counter each", SharedNoise::each::<Counter>(&seeds)),
        ("variation", SharedNoise::variation::<Generator>(&seeds, &[seed + 9, 3], 0.3 + 0.01 * seed as f64)),
        ("variation, CUDA", SharedNoise::variation::<Philox>(&seeds, &[], 0.3)),
    ]
}

#[test]
fn every_source_goes_on_after_it_was_saved() {
    let shape = [2, 3, 1, 5]; // few numbers, so that a pair is cut in two
    for before in 0..3 {
        for ((name, mut first), (_, mut second)) in sources(1).into_iter().zip(sources(20)) {
            (0..before).for_each(|_| _ = draw(&mut first, shape));
            let mut state = State::default();
            first.remember(&mut Memory::saving(&mut state));
            draw(&mut second, shape);
            let device = Device::flex();
            let mut memory = Memory::loading(&state, &device);
            second.remember(&mut memory);
            memory.finish().unwrap();
            for _ in 0..3 {
                assert_eq!(draw(&mut first, shape), draw(&mut second, shape), "{name} after {before}");
            }
        }
    }
}

#[test]
fn a_run_goes_on_with_every_source() {
    let levels = [9.0, 4.0, 2.0, 1.0, 0.5, 0.0].map(Level::ve);
    let model = |x: Tensor<4>, level: Level| x.div_scalar(1.0 + level.sigma.powi(2));
    let device = Device::flex();
    for ((name, noise), (_, mut fresh)) in sources(3).into_iter().zip(sources(40)) {
        let start = || Tensor::<4>::ones([2, 3, 4, 5], &device).mul_scalar(9.0);
        let mut shared = noise.clone();
        let fallible = |x: Tensor<4>, level: Level| Ok::<_, std::convert::Infallible>(model(x, level));
        let mut run = try_steps(EulerAncestral::new(noise), start(), &levels[..], fallible);
        run.next();
        run.next();
        let state = run.save(&mut shared);
        let expected: Vec<Vec<f32>> = run.map(|step| values(step.unwrap().x)).collect();
        let mut other = try_steps(EulerAncestral::new(fresh.clone()), start(), &levels[..], fallible);
        other.resume(&state, &mut fresh, &device).unwrap();
        let found: Vec<Vec<f32>> = other.map(|step| values(step.unwrap().x)).collect();
        assert_eq!(found, expected, "{name}");
    }
}
