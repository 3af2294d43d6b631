//! Whether the judge knows what it sees.
#![allow(clippy::unwrap_used)]

mod support;

use t2i_core::Error;
use t2i_data::{Colour, Judge, Library, Relation, Scene, Scenes, Style};

/// Something that happens to a picture on its way.
type Harm = fn(&[f32], usize) -> Vec<f32>;

/// Deterministic noise of standard deviation 0.15: a sum of sines of uneven frequencies would be too smooth.
fn noised(pixels: &[f32], _size: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    // Three uniform numbers of variance 1/12 each.
    pixels.iter().map(|value| value + 0.3 * (uniform() + uniform() + uniform())).collect()
}

fn at(pixels: &[f32], size: usize, place: usize, (right, down): (isize, isize)) -> f32 {
    let (channel, y, x) = (place / (size * size), place / size % size, place % size);
    let moved = |value: usize, by: isize| value.saturating_add_signed(by).min(size - 1);
    pixels[channel * size * size + moved(y, down) * size + moved(x, right)]
}

fn shifted(pixels: &[f32], size: usize) -> Vec<f32> {
    (0..pixels.len()).map(|place| at(pixels, size, place, (1, -1))).collect()
}

fn blurred(pixels: &[f32], size: usize) -> Vec<f32> {
    let around = [-1, 0, 1].into_iter().flat_map(|down| [-1, 0, 1].map(|right| (right, down)));
    let mean = |place: usize| around.clone().map(|by| at(pixels, size, place, by)).sum::<f32>() / 9.0;
    (0..pixels.len()).map(mean).collect()
}

fn untouched(pixels: &[f32], _size: usize) -> Vec<f32> {
    pixels.to_vec()
}

/// The shares of `scenes` in which objects, styles and backgrounds are right.
fn shares(library: &Library, scenes: &[Scene], harm: Harm) -> [f64; 3] {
    let judge = Judge::new(library).unwrap();
    let verdicts = scenes.iter().map(|scene| judge.judge(scene, &harm(&library.render(scene), library.size())));
    let sums = verdicts.fold([0; 3], |[objects, styles, backgrounds], verdict| {
        [
            objects + usize::from(verdict.objects_right),
            styles + usize::from(verdict.style_right),
            backgrounds + usize::from(verdict.background_right),
        ]
    });
    sums.map(|sum| sum as f64 / scenes.len() as f64)
}

#[test]
fn renderings_are_known_even_where_they_are_harmed() {
    let Some(library) = support::real(64) else { return };
    let pick = |pairs: f64| {
        let scenes = Scenes::new(library.concepts(), 5, pairs).unwrap();
        (0..60).map(|index| scenes.scene(index)).collect::<Vec<_>>()
    };
    for (kind, scenes) in [("one", pick(0.0)), ("two", pick(1.0))] {
        for (harm, name) in
            [(untouched as Harm, "as it is"), (noised, "noised"), (shifted, "shifted"), (blurred, "blurred")]
        {
            let [objects, styles, backgrounds] = shares(&library, &scenes, harm);
            eprintln!("{kind}, {name}: objects {objects}, styles {styles}, backgrounds {backgrounds}");
            assert!(objects >= 0.99 && backgrounds == 1.0, "{kind}, {name}: {objects}, {backgrounds}");
        }
    }
}

#[test]
fn a_wrong_picture_is_not_right() {
    let library = support::library(32);
    let judge = Judge::new(&library).unwrap();
    let scene = |objects, relation, colour| Scene::Two { objects, relation, style: Style::Flat, colour };
    let asked = scene([0, 1], Relation::LeftOf, Colour::Pink);
    let judge = |shown: &Scene| judge.judge(&asked, &library.render(shown));
    let right = judge(&asked);
    assert!(right.objects_right && right.background_right);
    assert_eq!(right.seen.iter().map(|seen| seen.object).collect::<Vec<_>>(), [0, 1]);
    let swapped = judge(&scene([0, 1], Relation::RightOf, Colour::Pink));
    assert_eq!(swapped.seen.iter().map(|seen| seen.object).collect::<Vec<_>>(), [1, 0]);
    assert!(!swapped.objects_right && swapped.background_right);
    let on_green = judge(&scene([0, 1], Relation::LeftOf, Colour::Green));
    assert!(on_green.objects_right && !on_green.background_right);
    assert_eq!(on_green.background, Colour::Green);
}

#[test]
fn a_size_without_whole_cells_is_refused() {
    let error = Judge::new(&support::library(48)).err().unwrap();
    assert!(matches!(error, Error::InvalidValue { field: "size", .. }), "{error}");
}
