//! The Fréchet distance against scipy's.
#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use t2i_core::Error;
use t2i_data::frechet_distance;

#[derive(Deserialize)]
struct Case {
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
    distance: f64,
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/data/frechet.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn it_is_scipys() {
    for case in cases() {
        for found in [frechet_distance(&case.first, &case.second), frechet_distance(&case.second, &case.first)] {
            let found = found.unwrap();
            assert!((found / case.distance - 1.0).abs() < 1e-8, "{found} instead of {}", case.distance);
        }
    }
}

#[test]
fn a_set_is_at_no_distance_from_itself_and_a_shift_at_its_square() {
    let Case { first, .. } = cases().remove(0);
    assert!(frechet_distance(&first, &first).unwrap() < 1e-9);
    let shifted: Vec<_> = first.iter().map(|x| x.iter().map(|value| value + 2.0).collect()).collect();
    assert!((frechet_distance(&first, &shifted).unwrap() - 4.0 * 6.0).abs() < 1e-4); // the features are f32
}

#[test]
fn fewer_members_than_features_are_no_harm() {
    let Case { first, second, distance } = cases().remove(1);
    let few = frechet_distance(&first[..5], &second[..5]).unwrap();
    assert!(few.is_finite() && few > 0.0 && distance.is_finite());
}

#[test]
fn features_that_make_no_sense_are_refused() {
    let bad = [vec![vec![1.0]], vec![vec![1.0], vec![1.0, 2.0]], vec![vec![1.0], vec![f32::NAN]], vec![]];
    for set in bad {
        let good = [vec![1.0], vec![2.0]];
        assert!(matches!(frechet_distance(&good, &set), Err(Error::InvalidValue { field: "features", .. })), "{set:?}");
    }
}
