//! Where the golden tests run.

#![allow(dead_code, reason = "each test file uses its share")]

use burn::tensor::{Device, FloatDType};

/// The device of `T2I_TEST_DEVICE`, or the default one.
pub(crate) fn device() -> Device {
    let name = std::env::var("T2I_TEST_DEVICE").unwrap_or_else(|_| t2i::DEVICES[0].to_owned());
    t2i::device(&name).expect("T2I_TEST_DEVICE names a device of this build")
}

/// The type of weights of `T2I_TEST_DTYPE`: f32, the default, f16 or bf16.
pub(crate) fn dtype() -> FloatDType {
    match std::env::var("T2I_TEST_DTYPE").as_deref() {
        Err(_) | Ok("f32") => FloatDType::F32,
        Ok("f16") => FloatDType::F16,
        Ok("bf16") => FloatDType::BF16,
        Ok(other) => panic!("T2I_TEST_DTYPE: \"{other}\" is not f32, f16 or bf16"),
    }
}

/// The type in which a network computes whose weights are of that type: on a CPU always f32.
pub(crate) fn arithmetic(weights: FloatDType) -> FloatDType {
    if device() == Device::flex() { FloatDType::F32 } else { weights }
}

/// The tolerances of the types that the device computes in; many GPUs do not in bf16.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn computed<const N: usize>(tolerances: [(FloatDType, f32); N]) -> impl Iterator<Item = (FloatDType, f32)> {
    tolerances.into_iter().filter(|(dtype, _)| {
        let computes = device().supports_dtype(*dtype);
        if !computes {
            eprintln!("skipped: {:?} does not compute in {dtype:?}", device());
        }
        computes
    })
}
