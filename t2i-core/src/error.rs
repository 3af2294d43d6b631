//! One error type for the family, split by who is at fault.

use std::path::PathBuf;

/// The result of everything that can fail in the t2i crates.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, always naming the file, the tensor or the field, and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The request.
    /// A value that cannot be served.
    #[error("{field} is {value}, but must be {expected}")]
    InvalidValue {
        /// The field of the request or the option of the command line.
        field: &'static str,
        /// The value given.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A name that nothing answers to.
    #[error("unknown {kind} `{name}`; the nearest are {}", nearest.join(", "))]
    UnknownName {
        /// What was looked for: a sampler, a device, ...
        kind: &'static str,
        /// The name given.
        name: String,
        /// The nearest names that exist, best first.
        nearest: Vec<String>,
    },

    // The file system.
    /// A file or folder that could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },

    // The checkpoint.
    /// A file whose bytes are not what its format demands.
    #[error("{}: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A checkpoint without something that the task needs.
    #[error("{}: {what} is missing", path.display())]
    MissingPart {
        /// The checkpoint.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// An option whose value this library does not support.
    #[error("{origin}: `{option}` is {value}, which is not supported; it must be {supported}")]
    UnsupportedOption {
        /// The config file.
        origin: String,
        /// The option.
        option: String,
        /// Its value, as JSON.
        value: String,
        /// What is supported.
        supported: String,
    },
    /// An option that no reader knows.
    #[error("{origin}: unknown option `{option}`; the nearest are {}", nearest.join(", "))]
    UnknownOption {
        /// The config file.
        origin: String,
        /// The option.
        option: String,
        /// The nearest options that exist.
        nearest: Vec<String>,
    },
    /// A parameter of the model that the file has no tensor for.
    #[error("{origin}: tensor `{tensor}` is missing{}", nearest_tensor(nearest))]
    MissingTensor {
        /// The weight file.
        origin: String,
        /// The tensor's name, in diffusers' layout.
        tensor: String,
        /// The nearest name among the tensors that nothing used.
        nearest: Option<String>,
    },
    /// Tensors of the file that the model has no parameter for.
    #[error("{origin}: {} not used by the model: {}", tensors.len(), tensors.join(", "))]
    UnusedTensors {
        /// The weight file.
        origin: String,
        /// The names, in diffusers' layout.
        tensors: Vec<String>,
    },
    /// A tensor that changes a layer which the model does not have.
    #[error("{origin}: tensor `{tensor}` has no counterpart in the {part}{}", nearest_layer(nearest))]
    NoCounterpart {
        /// The weight file.
        origin: String,
        /// The tensor's name in the file.
        tensor: String,
        /// The part of the model that was looked through.
        part: crate::Part,
        /// The nearest layer of that part, in diffusers' layout.
        nearest: Option<String>,
    },
    /// A tensor of a kind that this library cannot apply.
    #[error("{origin}: tensor `{tensor}` is of {kind}, which is not supported; {supported}")]
    UnsupportedTensor {
        /// The weight file.
        origin: String,
        /// The tensor's name in the file.
        tensor: String,
        /// What it belongs to.
        kind: &'static str,
        /// What is supported.
        supported: &'static str,
    },
    /// Two tensors for one parameter.
    #[error("{origin}: tensor `{tensor}` appears twice")]
    DuplicateTensor {
        /// The weight file.
        origin: String,
        /// The name, in diffusers' layout.
        tensor: String,
    },
    /// A tensor of another shape than the model's parameter.
    #[error("{origin}: tensor `{tensor}` has shape {found:?}, the model needs {expected:?}")]
    TensorShape {
        /// The weight file.
        origin: String,
        /// The tensor's name.
        tensor: String,
        /// The shape that the model needs, in the file's layout.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor of a type that holds no floating-point weights.
    #[error("{origin}: tensor `{tensor}` is {found}; weights must be F32, F16, BF16 or F64")]
    TensorType {
        /// The weight file.
        origin: String,
        /// The tensor's name.
        tensor: String,
        /// The type in the file.
        found: String,
    },

    /// A tensor with values that no computation survives.
    #[error("{origin}: tensor `{tensor}` holds NaN or infinity as {dtype}")]
    TensorNotFinite {
        /// The weight file.
        origin: String,
        /// The tensor's name.
        tensor: String,
        /// The type that the values have on the device: what f32 holds may be too large for f16.
        dtype: &'static str,
    },

    // The numbers.
    /// NaN or infinity came out of a network.
    #[error("{stage} gave NaN or infinity")]
    NotFinite {
        /// The stage: a text encoder, the UNet at a step, a codec.
        stage: String,
        /// The last latent that was finite, if the stage had one. `[batch, channels, height, width]`
        latent: Option<Box<burn::tensor::TensorData>>,
    },
}

impl Error {
    /// Wraps what the operating system says about `path`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// A file whose bytes are not what its format demands.
    pub fn corrupt(path: impl Into<PathBuf>, detail: impl std::fmt::Display) -> Self {
        Self::Corrupt { path: path.into(), detail: detail.to_string() }
    }
}

fn nearest_layer(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; the nearest layer is `{name}`")).unwrap_or_default()
}

fn nearest_tensor(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; the nearest unused one is `{name}`")).unwrap_or_default()
}
