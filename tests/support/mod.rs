//! What the golden tests have in common: files, comparison, and the lines that docs/parity.md is made of.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses its share")]

mod device;

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use safetensors::SafeTensors;
use serde::de::DeserializeOwned;
use serde_json::Value;
use t2i::sched::Generator;

pub(crate) use device::{device, dtype};

/// The folder of the golden files.
pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A JSON file.
pub fn json<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The tensors of a safetensors file, as f32.
pub struct Tensors(Vec<u8>);

impl Tensors {
    pub fn open(path: &Path) -> Self {
        Self(std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    /// The tensor of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<TensorData> {
        let file = SafeTensors::deserialize(&self.0).expect("a golden file");
        let view = file.tensor(name).ok()?;
        let shape = view.shape().to_vec();
        let values: Vec<f32> = match view.dtype() {
            safetensors::Dtype::F32 => {
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
            safetensors::Dtype::F16 => {
                view.data().chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
            }
            safetensors::Dtype::U8 => view.data().iter().map(|b| f32::from(*b)).collect(),
            other => panic!("{name} is {other:?}"),
        };
        Some(TensorData::new(values, shape))
    }

    /// The tensor of that name on the device of the tests.
    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        Tensor::from_data(self.get(name).unwrap_or_else(|| panic!("no tensor {name}")), &device())
    }
}

/// Writes the weights of the folder's `recipe.json`, a stretch of a random stream for each tensor, into a file beside
/// the compiled tests. Each line is `[name, shape, offset, low, high]`, uniform between low and high, or constant where
/// the offset is null.
pub fn baked(folder: &Path) -> PathBuf {
    let recipe: Value = json(&folder.join("recipe.json"));
    let mut stream = Stream { generator: Generator::new(recipe["seed"].as_u64().expect("a seed")), position: 0 };
    let lines = recipe["tensors"].as_array().expect("tensors").iter();
    let tensors: Vec<_> = lines.map(|line| (line[0].as_str().expect("a name"), stream.tensor(line))).collect();
    let parts: Vec<_> = folder.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.safetensors", parts.join("-")));
    t2i::write_tensors(&path, &tensors).expect("a file of weights");
    path
}

/// torch's random stream, read forwards.
struct Stream {
    generator: Generator,
    position: usize,
}

impl Stream {
    fn tensor(&mut self, line: &Value) -> TensorData {
        let shape: Vec<usize> = numbers(&line[1]).into_iter().map(|n| n as usize).collect();
        let count = shape.iter().product();
        let (low, high) = (f64::from(single(&line[3])), f64::from(single(&line[4])));
        let values = match line[2].as_u64() {
            None => vec![low as f32; count],
            Some(offset) => {
                self.generator.rand(offset as usize - self.position);
                self.position = offset as usize + count;
                self.generator.rand(count).iter().map(|u| (f64::from(*u) * (high - low) + low) as f32).collect()
            }
        };
        TensorData::new(values, shape)
    }
}

/// A list of numbers.
pub fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().expect("numbers").iter().map(single).collect()
}

fn single(value: &Value) -> f32 {
    value.as_f64().expect("a number") as f32
}

/// The largest difference between two tensors of one shape.
///
/// # Panics
/// If the shapes differ or a value is not finite.
pub fn largest_difference(found: &TensorData, expected: &TensorData) -> f32 {
    assert_eq!(found.shape(), expected.shape());
    let pairs = found.iter::<f32>().zip(expected.iter::<f32>());
    pairs.fold(0.0, |largest, (a, b)| {
        assert!(a.is_finite() && b.is_finite(), "found {a}, expected {b}");
        largest.max((a - b).abs())
    })
}

/// The largest magnitude.
pub fn largest(data: &TensorData) -> f32 {
    data.iter::<f32>().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// Prints a line for `tests/golden/parity.py`, which makes docs/parity.md.
#[allow(clippy::print_stdout, reason = "the table is read from here")]
pub fn parity(part: &str, case: &str, tolerance: f32, error: f32) {
    println!("parity | {part} | {case} | {tolerance:.1e} | {error:.1e}");
}
