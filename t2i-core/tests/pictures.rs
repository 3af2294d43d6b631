//! Pictures are read, resized and written to the bit as Pillow and diffusers do: `tests/golden/make_core.py`.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use t2i_core::{Error, read_image, read_image_resized, read_mask, read_mask_resized, read_tensor, write_png};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/core")).join(name)
}

fn expected(name: &str) -> Tensor<4> {
    read_tensor(golden("pictures.safetensors"), name, &Device::flex()).expect("golden data")
}

/// The values of two tensors that must have one shape.
fn values(got: Tensor<4>, expected: Tensor<4>) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(got.dims(), expected.dims());
    assert!(got.clone().is_finite().all().into_scalar::<bool>(), "NaN or infinity");
    [got, expected].map(|t| t.try_into_vec_as().expect("f32")).into()
}

/// No difference that 8 bits could show: the largest is far below half a step of 2/255.
fn assert_same(got: Tensor<4>, expected: Tensor<4>, what: &str) {
    let (got, expected) = values(got, expected);
    let difference = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference <= 1e-6, "{what}: {difference}");
}

#[test]
fn every_kind_of_png_is_read_as_rgb() {
    for name in ["rgb.png", "rgba.png", "grey.png", "palette.png", "turned.png"] {
        assert_same(read_image(golden(name), &Device::flex()).expect("a picture"), expected(name), name);
    }
}

/// Decoders of JPEG may round the cosine transform in their own way, by a step or two of 255.
#[test]
fn a_turned_jpeg_stands_upright() {
    let picture = read_image(golden("turned.jpg"), &Device::flex()).expect("a picture");
    let (got, expected) = values(picture, expected("turned.jpg"));
    let difference = got.iter().zip(&expected).map(|(a, b)| (a - b).abs() * 127.5).fold(0.0, f32::max);
    assert!(difference <= 2.01, "{difference} of 255");
}

#[test]
fn resizing_is_that_of_pillow() {
    for (width, height) in [(40, 32), (12, 9), (29, 31), (17, 23), (64, 5)] {
        let size = format!("{width}x{height}");
        let picture = read_image_resized(golden("rgb.png"), width, height, &Device::flex()).expect("a picture");
        assert_same(picture, expected(&format!("image {size}")), &size);
        let mask = read_mask_resized(golden("rgb.png"), width, height, &Device::flex()).expect("a mask");
        assert_same(mask, expected(&format!("mask {size}")), &size);
    }
}

#[test]
fn a_mask_is_made_of_0_and_1() {
    assert_same(read_mask(golden("rgb.png"), &Device::flex()).expect("a mask"), expected("mask"), "mask");
}

#[test]
fn what_is_written_is_what_diffusers_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("written.png");
    write_png(&path, expected("pixels")).expect("written");
    let bytes = |pixels: Tensor<4>| ((pixels + 1.0) * 127.5).round();
    let written: Tensor<3> =
        read_tensor(golden("pictures.safetensors"), "written", &Device::flex()).expect("golden data");
    let got = bytes(read_image(&path, &Device::flex()).expect("a picture"));
    assert_same(got, written.permute([2, 0, 1]).unsqueeze(), "bytes");
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1);
}

#[test]
fn bad_pictures_are_named() {
    let device = Device::flex();
    let folder = tempfile::tempdir().expect("a folder");
    let missing = read_image(folder.path().join("none.png"), &device).expect_err("missing");
    assert!(matches!(&missing, Error::Io { path, .. } if path.ends_with("none.png")), "{missing}");

    let text = folder.path().join("text.png");
    std::fs::write(&text, "no picture").expect("written");
    let error = read_image(&text, &device).expect_err("text");
    assert!(matches!(&error, Error::Corrupt { path, .. } if path.ends_with("text.png")), "{error}");

    let half = folder.path().join("half.png");
    let whole = std::fs::read(golden("rgb.png")).expect("golden data");
    std::fs::write(&half, &whole[..whole.len() / 2]).expect("written");
    let error = read_image(&half, &device).expect_err("half");
    assert!(matches!(&error, Error::Corrupt { path, .. } if path.ends_with("half.png")), "{error}");

    let error = read_image_resized(golden("rgb.png"), 0, 8, &device).expect_err("no width");
    assert!(matches!(error, Error::InvalidValue { field: "width", .. }));
}

#[test]
fn what_is_no_picture_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture.png");
    let pixels = |shape: [usize; 4], value: f32| {
        let values = vec![value; shape.iter().product()];
        Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex())
    };
    let error = write_png(&path, pixels([1, 3, 2, 2], f32::NAN)).expect_err("NaN");
    assert!(matches!(error, Error::NotFinite { .. }));
    for shape in [[2, 3, 2, 2], [1, 4, 2, 2]] {
        let error = write_png(&path, pixels(shape, 0.0)).expect_err("not one picture");
        assert!(matches!(error, Error::InvalidValue { field: "pixels", .. }));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 0);
}
