//! What is seen in the folders and files of the golden data.

use std::path::PathBuf;

use t2i_core::{Family, inspect};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden")).join(name)
}

#[test]
fn every_family_is_told_apart() {
    for (name, family, inpainting, prediction) in [
        ("sd1", Family::Sd1, false, "epsilon"),
        ("sd1-inpaint", Family::Sd1, true, "epsilon"),
        ("sd2", Family::Sd2, false, "v_prediction"),
        ("sdxl", Family::SdXl, false, "epsilon"),
        ("sdxl-refiner", Family::SdXlRefiner, false, "epsilon"),
    ] {
        let report = inspect(golden("pipelines").join(name)).expect("a checkpoint");
        assert_eq!((report.family, report.inpainting), (family, inpainting), "{report}");
        assert_eq!(report.prediction_type.as_deref(), Some(prediction), "{report}");
        assert_eq!(report.missing, [""; 0], "{report}");
        assert_eq!(report.parts.iter().map(|part| part.part).collect::<Vec<_>>(), family.parts());
    }
}

/// Its UNet has two tensors.
#[test]
fn a_part_that_is_none_is_named() {
    let error = inspect(golden("core/tiny.ckpt")).expect_err("no UNet").to_string();
    assert!(error.contains("tiny.ckpt (unet)"), "{error}");
}
