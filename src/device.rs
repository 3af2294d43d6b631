//! Devices by name.

use burn::tensor::Device;
#[cfg(feature = "wgpu-untuned")]
use burn::tensor::DeviceKind;

use t2i_core::{Error, Result, nearest};

/// The names that [`device`] knows in this build, the default first.
///
/// A GPU may be followed by its number: `cuda:1`. `wgpu:cpu` is a software driver.
pub const DEVICES: &[&str] = &[
    #[cfg(feature = "flex")]
    "flex",
    #[cfg(feature = "ndarray")]
    "ndarray",
    #[cfg(feature = "cuda")]
    "cuda",
    #[cfg(feature = "rocm")]
    "rocm",
    #[cfg(feature = "vulkan")]
    "vulkan",
    #[cfg(feature = "metal")]
    "metal",
    #[cfg(feature = "webgpu")]
    "webgpu",
    #[cfg(feature = "wgpu-untuned")]
    "wgpu",
    #[cfg(feature = "tch")]
    "libtorch",
    #[cfg(feature = "cpu")]
    "cpu",
];

/// The device of that name.
///
/// # Errors
/// If this build has none of that name: each is a Cargo feature.
pub fn device(name: &str) -> Result<Device> {
    let (backend, which) = name.split_once(':').unwrap_or((name, ""));
    let found = match (backend, which) {
        #[cfg(feature = "flex")]
        ("flex", "") => Some(Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", "") => Some(Device::ndarray()),
        #[cfg(feature = "tch")]
        ("libtorch", "") => Some(Device::libtorch()),
        #[cfg(feature = "cpu")]
        ("cpu", "") => Some(Device::cpu()),
        #[cfg(feature = "cuda")]
        ("cuda", which) => index(which).map(Device::cuda),
        #[cfg(feature = "rocm")]
        ("rocm", which) => index(which).map(Device::rocm),
        #[cfg(feature = "vulkan")]
        ("vulkan", which) => kind(which).map(Device::vulkan),
        #[cfg(feature = "metal")]
        ("metal", which) => kind(which).map(Device::metal),
        #[cfg(feature = "webgpu")]
        ("webgpu", which) => kind(which).map(Device::webgpu),
        #[cfg(feature = "wgpu-untuned")]
        ("wgpu", which) => kind(which).map(Device::wgpu),
        _ => None,
    };
    found.ok_or_else(|| Error::UnknownName {
        kind: "device",
        name: name.to_owned(),
        nearest: nearest(backend, DEVICES.iter().copied()),
    })
}

#[cfg(any(feature = "cuda", feature = "rocm"))]
fn index(which: &str) -> Option<usize> {
    if which.is_empty() { Some(0) } else { which.parse().ok() }
}

#[cfg(feature = "wgpu-untuned")]
fn kind(which: &str) -> Option<DeviceKind> {
    match which {
        "" => Some(DeviceKind::DefaultDevice),
        "cpu" => Some(DeviceKind::Cpu),
        number => number.parse().ok().map(DeviceKind::DiscreteGpu),
    }
}
