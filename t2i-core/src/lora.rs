//! LoRA: small changes of a model's weights, learned beside it. [Hu et al. 2021](https://arxiv.org/abs/2106.09685)
//!
//! A layer's weight `W` becomes `W + strength * (alpha / rank) * up down`. The change is added to the weights once, so
//! that a picture costs what it costs without.

mod change;
mod layers;
mod merge;
mod name;
mod numbered;
mod peft;
mod words;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use self::change::{Change, Named, Tensors};
use self::layers::{Layer, Layers};
pub use self::merge::with_changes;
use self::name::{LayerName, Stranger};
use self::numbered::{GatedLayer, LAYERS_OF_A_BLOCK};
use self::peft::Configs;
pub use self::write::{LoraFormat, LoraLayer};
use crate::{Error, LearnedEmbedding, Part, Result, Weights};

/// The changes of a LoRA file, in any of the layouts that diffusers, PEFT, A1111, kohya's scripts, ComfyUI and
/// cloneofsimo's trainer write; of LoCon, too, which changes convolutions.
///
/// Reading sorts the tensors; which layers they are for is known when there is a model to
/// [`merge`](Self::merge) into.
#[derive(Debug, Clone)]
pub struct Lora {
    origin: String,
    changes: BTreeMap<(Part, LayerName), Change>,
    configs: Configs,
    embeddings: Vec<LearnedEmbedding>,
}

impl Lora {
    /// Reads a file: safetensors, or a PyTorch pickle of which no code is run.
    ///
    /// # Errors
    /// If it cannot be read or is corrupt; if a tensor is of no known layout or another method than LoRA (which is
    /// named), a half is missing, a rank is 0, or a value NaN or infinite.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let weights = Weights::open(path)?;
        let words = words::find(path, &weights)?;
        let is_word = |name: &str| words.iter().any(|word| word.tensor == name);
        let changes = sort(&weights, weights.names().filter(|name| !is_word(name)))?;
        if changes.is_empty() {
            return Err(Error::corrupt(path, "holds no LoRA"));
        }
        let embeddings = words::read(&weights, &words)?;
        Ok(Self { origin: weights.origin().to_owned(), changes, configs: Configs::read(path, &weights)?, embeddings })
    }

    /// The file.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The parts of a model that it changes.
    pub fn parts(&self) -> BTreeSet<Part> {
        self.changes.keys().map(|(part, _)| *part).collect()
    }

    /// The words that were learned together with it, and stand in the same file.
    pub fn embeddings(&self) -> &[LearnedEmbedding] {
        &self.embeddings
    }

    /// Checks that `module`, as that part of a model, has every layer that is to be changed, each of the right shape.
    ///
    /// # Errors
    /// Names the first tensor that has no counterpart, with the nearest layer, or that has another shape.
    pub fn check<M: Module>(&self, part: Part, module: &M) -> Result<()> {
        self.fit(part, &Layers::of(part, module)).map(|_| ())
    }

    /// Checks that a strength is a finite number.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_strength(strength: f64) -> Result<()> {
        match strength.is_finite() {
            true => Ok(()),
            false => Err(Error::InvalidValue {
                field: "strength",
                value: strength.to_string(),
                expected: "a finite number".to_owned(),
            }),
        }
    }

    /// Adds the changes, `strength` times, to the weights of `module`, which is that part of a model. Computed in f32;
    /// the weights keep their type, device and whether they are trained.
    ///
    /// # Errors
    /// If `strength` is no finite number; as [`check`](Self::check).
    pub fn merge<M: Module>(&self, part: Part, module: M, strength: f64) -> Result<M> {
        Self::check_strength(strength)?;
        let layers = Layers::of(part, &module);
        let mut scaled = BTreeMap::new();
        for (layer, change) in self.fit(part, &layers)? {
            let scale = match change.alpha {
                Some(alpha) => alpha / change.rank as f64,
                None => self.configs.scale(part, &layer.path, change.rank),
            };
            scaled.insert(layer.path.clone(), (change, strength * scale));
        }
        let change = |path: &str, device: &Device| {
            let (change, factor) = scaled.get(path)?;
            Some(change.product(device) * *factor)
        };
        // Even a change of nothing would lay the weights out anew, and products of them would round in another way.
        Ok(if strength == 0.0 { module } else { merge::add(module, change) })
    }

    /// The layers that the changes of a part are for.
    fn fit<'a>(&'a self, part: Part, layers: &'a Layers) -> Result<Vec<(&'a Layer, &'a Change)>> {
        let numbered = numbered::paths(part, layers.paths(), self.gated_layer(part));
        let mut seen = BTreeSet::new();
        let mut fitting = Vec::new();
        for ((_, name), change) in self.changes.iter().filter(|((of, _), _)| *of == part) {
            let layer = match name {
                LayerName::Flat(name) => layers.get(name),
                LayerName::Numbered(n) => numbered.get(*n).and_then(|path| layers.at(path)),
            };
            let layer = layer.ok_or_else(|| self.no_counterpart(part, change, layers.nearest(name)))?;
            change.check(&self.origin, layer)?;
            if !seen.insert(&layer.path) {
                return Err(Error::DuplicateTensor { origin: self.origin.clone(), tensor: change.down.name.clone() });
            }
            fitting.push((layer, change));
        }
        Ok(fitting)
    }

    /// A gated layer is the only one whose output is eight times as wide as the attention's.
    fn gated_layer(&self, part: Part) -> GatedLayer {
        let outputs = |n| self.changes.get(&(part, LayerName::Numbered(n))).map(|change| change.up.shape[0]);
        let is_gated = |n| outputs(n).zip(outputs(0)).is_some_and(|(gated, plain)| gated == 8 * plain);
        match is_gated(LAYERS_OF_A_BLOCK - 1) {
            true => GatedLayer::Last,
            false => GatedLayer::Between,
        }
    }

    fn no_counterpart(&self, part: Part, change: &Change, nearest: Option<String>) -> Error {
        Error::NoCounterpart { origin: self.origin.clone(), tensor: change.down.name.clone(), part, nearest }
    }

    /// What to say where a model does not have a part at all.
    pub fn part_missing(&self, part: Part) -> Error {
        let change = self.changes.iter().find(|((of, _), _)| *of == part).map(|(_, change)| change);
        let tensor = change.map_or_else(String::new, |change| change.down.name.clone());
        Error::NoCounterpart { origin: self.origin.clone(), tensor, part, nearest: None }
    }
}

/// The paths of the layers of a module that have a matrix or a kernel for a weight, and its shape in the layout of files:
/// `[out, in]` or `[out, in, height, width]`. In the order of the walk through the module.
pub fn layers<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    Layer::all(module).into_iter().map(|layer| (layer.path, layer.shape)).collect()
}

/// Reads the tensors of these names, and puts those of one layer together.
fn sort<'a>(weights: &Weights, names: impl Iterator<Item = &'a str>) -> Result<BTreeMap<(Part, LayerName), Change>> {
    let mut sorted: BTreeMap<_, Tensors> = BTreeMap::new();
    let mut unknown = Vec::new();
    for tensor in names {
        match name::parse(tensor) {
            Ok(name) => {
                let named = read(weights, tensor)?;
                if let Some(second) = sorted.entry((name.part, name.layer)).or_default().put(name.half, named) {
                    return Err(Error::DuplicateTensor { origin: weights.origin().to_owned(), tensor: second.name });
                }
            }
            Err(Stranger::Of(kind)) => return Err(unsupported(weights, tensor, kind)),
            Err(Stranger::Unknown) => unknown.push(tensor.to_owned()),
        }
    }
    match unknown.is_empty() {
        true => sorted.into_iter().map(|(key, tensors)| Ok((key, tensors.into_change(weights.origin())?))).collect(),
        false => Err(Error::UnusedTensors { origin: weights.origin().to_owned(), tensors: unknown }),
    }
}

fn read(weights: &Weights, name: &str) -> Result<Named> {
    let data = weights.read_f32(name)?;
    let values = data.try_to_vec().map_err(|e| Error::corrupt(weights.origin(), e))?;
    Ok(Named { name: name.to_owned(), shape: data.shape().to_vec(), values })
}

fn unsupported(weights: &Weights, tensor: &str, kind: &'static str) -> Error {
    let supported = "LoRA and LoCon are";
    Error::UnsupportedTensor { origin: weights.origin().to_owned(), tensor: tensor.to_owned(), kind, supported }
}
