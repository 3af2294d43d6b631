//! What the benches of networks have in common: where and in which type they run, and random weights.
//!
//! `T2I_BENCH_DEVICE` is a name of [`t2i::device`], its default by default; `T2I_BENCH_DTYPE` is f32 (the default), f16
//! or bf16. Memory is counted on the thread of the bench alone: what worker threads allocate is not in it.
#![allow(dead_code, unreachable_pub, reason = "each bench uses its share")]

use std::env;
use std::process::ExitCode;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use divan::Bencher;

/// Runs the benches of a file, where cargo asks for benches and not for tests of them.
pub fn main() -> ExitCode {
    if !env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match check_settings() {
        Ok(()) => divan::main(),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Says what is wrong with the two variables, if anything is.
pub fn check_settings() -> Result<(), String> {
    try_device().and(try_dtype()).map(drop)
}

/// The device of `T2I_BENCH_DEVICE`.
pub fn device() -> Device {
    try_device().expect("checked at the start")
}

/// The type of `T2I_BENCH_DTYPE`.
pub fn dtype() -> FloatDType {
    try_dtype().expect("checked at the start")
}

fn try_device() -> Result<Device, String> {
    let name = setting("T2I_BENCH_DEVICE", t2i::DEVICES[0])?;
    t2i::device(&name).map_err(|error| format!("T2I_BENCH_DEVICE: {error}"))
}

fn try_dtype() -> Result<FloatDType, String> {
    match setting("T2I_BENCH_DTYPE", "f32")?.as_str() {
        "f32" => Ok(FloatDType::F32),
        "f16" => Ok(FloatDType::F16),
        "bf16" => Ok(FloatDType::BF16),
        other => Err(format!("T2I_BENCH_DTYPE: \"{other}\" is not f32, f16 or bf16")),
    }
}

fn setting(name: &str, default: &str) -> Result<String, String> {
    match env::var(name) {
        Ok(value) => Ok(value),
        Err(env::VarError::NotPresent) => Ok(default.to_owned()),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

/// Times `run` until the device has done it.
pub fn time<T>(bencher: Bencher<'_, '_>, run: impl Fn() -> T) {
    let device = device();
    let once = || {
        let result = run();
        device.sync().expect("the device still answers");
        result
    };
    once(); // what is made on the first call, as a GPU's programs, is not what is asked for
    bencher.bench_local(once);
}

/// Values in [-1, 1], f32.
pub fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &device())
}

/// Gives every parameter random values of the type asked for, as they lie in memory after a checkpoint is loaded: the
/// weight of a `Linear` is a view of what files hold the other way round. Their spread keeps a deep network finite.
pub fn random_weights<M: Module>(module: M) -> M {
    random_weights_as(dtype(), module)
}

/// As [`random_weights`], of that type.
pub fn random_weights_as<M: Module>(dtype: FloatDType, module: M) -> M {
    module.map(&mut Randomise { dtype, path: Vec::new() })
}

struct Randomise {
    dtype: FloatDType,
    /// Names and types of the modules around a parameter, its own name last.
    path: Vec<(String, String)>,
}

impl Randomise {
    fn values<const D: usize>(&self, param: &Param<Tensor<D>>) -> Tensor<D> {
        let (name, container) = self.path.last().expect("a parameter has a name");
        let mut shape = param.lazy_shape().to_vec();
        let transposed = D == 2 && container == "Struct:Linear";
        if transposed {
            shape.swap(0, 1);
        }
        let fan_in: usize = shape[1..].iter().product();
        let (mean, spread) = match (D, name.as_str()) {
            (1, "gamma") => (1.0, 0.02),
            (1, _) => (0.0, 0.02),
            _ => (0.0, (3.0 / fan_in as f64).sqrt()),
        };
        let range = Distribution::Uniform(mean - spread, mean + spread);
        let values = Tensor::<D>::random(shape, range, &param.lazy_device()).cast(self.dtype);
        if transposed { values.swap_dims(0, 1) } else { values }
    }
}

impl ModuleMapper for Randomise {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((name.to_owned(), container.to_owned()));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (values, id) = (self.values(&param), param.id);
        param.transform_for_load(values, id)
    }
}
