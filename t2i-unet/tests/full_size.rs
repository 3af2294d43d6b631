//! Networks of the published sizes have the parameters that diffusers counts, and cost nothing before they are loaded.

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use serde_json::Value;
use t2i_core::Options;
use t2i_unet::{UNet, UNetConfig};

struct Count(usize);

impl ModuleVisitor for Count {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        assert!(!param.is_initialized(), "a full network in memory");
        self.0 += param.lazy_shape().num_elements();
    }
}

fn parameters(unet: &UNet) -> usize {
    let mut count = Count(0);
    unet.visit(&mut count);
    count.0
}

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/unet").join(path);
    let text = std::fs::read_to_string(path).expect("the reference is there");
    serde_json::from_str(&text).expect("JSON")
}

fn config(json: &Value) -> UNetConfig {
    let options = Options::from_json("config.json", json.clone()).expect("an object");
    UNetConfig::from_options(options).expect("every option is supported")
}

#[test]
fn published_networks_have_the_parameters_of_diffusers() {
    let full = read("full_size.json");
    for (name, network) in full.as_object().expect("by name") {
        let unet = config(&network["config"]).init(&Device::flex());
        assert_eq!(Some(parameters(&unet) as u64), network["parameters"].as_u64(), "{name}");
    }
}

#[test]
fn presets_are_the_published_configs() {
    let full = read("full_size.json");
    let published = |name: &str| config(&full[name]["config"]);
    assert_eq!(UNetConfig::sd15(), published("sd15"));
    assert_eq!(UNetConfig::sd21(), published("sd21"));
    assert_eq!(UNetConfig::sdxl(), published("sdxl"));
    assert_eq!(UNetConfig::sdxl_refiner(), published("sdxl_refiner"));
}

#[test]
fn presets_have_the_published_numbers_of_parameters() {
    let count = |config: UNetConfig| parameters(&config.init(&Device::flex()));
    assert_eq!(count(UNetConfig::sd15()), 859_520_964);
    assert_eq!(count(UNetConfig::sd21()), 865_910_724);
    assert_eq!(count(UNetConfig::sdxl()), 2_567_463_684);
}

/// The files as they were published, where the reference data is at hand.
#[test]
#[allow(clippy::print_stderr)]
fn presets_are_the_files_of_the_published_checkpoints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/configs");
    for (name, preset) in [("sd14", UNetConfig::sd15()), ("sd21", UNetConfig::sd21()), ("sdxl", UNetConfig::sdxl())] {
        let path = root.join(name).join("unet/config.json");
        if !path.exists() {
            eprintln!("skipped: {} is not here", path.display());
            continue;
        }
        let options = Options::read(&path).expect("readable");
        assert_eq!(UNetConfig::from_options(options).expect("every option is supported"), preset, "{name}");
    }
}
