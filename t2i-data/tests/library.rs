//! From scenes to pixels.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use t2i_core::Error;
use t2i_data::{Archives, Colour, Library, Relation, Scene, Style};

const SQUARE: usize = 0;
const BAR: usize = 1;
const PANE: usize = 2;

/// Red, green and blue of a pixel, 0 to 255.
fn pixel(pixels: &[f32], size: usize, (x, y): (usize, usize)) -> [u8; 3] {
    let value = |channel: usize| pixels[channel * size * size + y * size + x];
    [0, 1, 2].map(|channel| ((value(channel) + 1.0) * 127.5).round() as u8)
}

fn one(object: usize, style: Style, colour: Colour) -> Scene {
    Scene::One { object, style, colour }
}

#[test]
fn an_object_stands_in_the_middle_of_its_background() {
    let library = support::library(64);
    for (style, colour) in Style::ALL.into_iter().zip(Colour::ALL) {
        let pixels = library.render(&one(SQUARE, style, colour));
        assert_eq!(pixels.len(), 3 * 64 * 64);
        let at = |x, y| pixel(&pixels, 64, (x, y));
        assert_eq!([at(0, 0), at(63, 63), at(4, 32)], [colour.rgb(); 3]); // 80 % of 64 pixels begin at 6 or 7
        assert_eq!([at(32, 32), at(9, 9), at(54, 54)], [[255, 0, 0]; 3], "{style:?}");
    }
}

#[test]
fn the_larger_side_fills_its_share() {
    let pixels = support::library(64).render(&one(BAR, Style::Flat, Colour::White));
    let is_blue = |place: &(usize, usize)| pixel(&pixels, 64, *place) == [0, 0, 255];
    assert!((49..=51).contains(&(0..64).map(|x| (x, 32)).filter(is_blue).count()));
    assert!((11..=13).contains(&(0..64).map(|y| (32, y)).filter(is_blue).count()));
}

#[test]
fn what_is_half_transparent_shows_half_of_the_background() {
    let library = support::library(64);
    for style in Style::ALL {
        let seen = pixel(&library.render(&one(PANE, style, Colour::White)), 64, (32, 32));
        for (seen, expected) in seen.into_iter().zip([125, 252, 125]) {
            assert!(seen.abs_diff(expected) <= 1, "{style:?}: {seen} instead of {expected}");
        }
    }
}

#[test]
fn each_of_two_objects_stands_in_its_half() {
    let library = support::library(64);
    let (square, bar) = ([255, 0, 0], [0, 0, 255]);
    for (relation, [first, second]) in [
        (Relation::LeftOf, [(16, 32), (48, 32)]),
        (Relation::RightOf, [(48, 32), (16, 32)]),
        (Relation::Above, [(32, 16), (32, 48)]),
        (Relation::Below, [(32, 48), (32, 16)]),
    ] {
        let scene = Scene::Two { objects: [SQUARE, BAR], relation, style: Style::Solid, colour: Colour::Grey };
        let pixels = library.render(&scene);
        assert_eq!([first, second].map(|place| pixel(&pixels, 64, place)), [square, bar], "{relation:?}");
        assert_eq!(pixel(&pixels, 64, (0, 0)), Colour::Grey.rgb());
    }
}

#[test]
fn captions_name_the_concepts() {
    let library = support::library(16);
    assert_eq!(library.caption(&one(BAR, Style::Solid, Colour::Orange)), "a 3d bar on an orange background");
}

#[test]
fn what_was_kept_is_what_was_drawn() {
    let folder = support::folder();
    let archives = Archives::open(folder.path()).unwrap();
    let load = || Library::with_concepts(&archives, support::concepts(), 48).unwrap();
    let scene = one(PANE, Style::Glossy, Colour::Brown);
    let drawn = load().render(&scene);
    let kept = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let kept = kept.filter(|path| path.extension().is_some_and(|extension| extension == "bin")).collect::<Vec<_>>();
    assert_eq!(kept.len(), 1);
    assert!(load().render(&scene) == drawn);
    fs::write(&kept[0], [1, 0, 1, 0]).unwrap(); // cut off
    assert!(load().render(&scene) == drawn);
}

#[test]
fn sizes_that_cannot_be_served_are_refused() {
    let folder = support::folder();
    let archives = Archives::open(folder.path()).unwrap();
    for size in [0, 15, 513, usize::MAX] {
        let error = Library::with_concepts(&archives, support::concepts(), size).err().unwrap();
        assert!(matches!(error, Error::InvalidValue { field: "size", .. }), "{error}");
    }
    let error = Library::with_concepts(&archives, Vec::new(), 64).err().unwrap();
    assert!(matches!(error, Error::InvalidValue { field: "concepts", .. }), "{error}");
}

#[test]
fn every_concept_is_drawn_in_every_style() {
    let Some(library) = support::real(64) else { return };
    for object in 0..library.concepts().len() {
        for style in Style::ALL {
            let pixels = library.render(&one(object, style, Colour::Grey));
            let (corner, name) = (pixel(&pixels, 64, (0, 0)), &library.concepts()[object].name);
            assert_eq!(corner, Colour::Grey.rgb(), "{name}");
            let differs = |place: &usize| pixel(&pixels, 64, (place % 64, place / 64)) != corner;
            assert!((0..64 * 64).filter(differs).count() > 200, "{name}, {style:?}");
        }
    }
}
