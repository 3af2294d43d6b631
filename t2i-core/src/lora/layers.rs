//! The layers of a model that a LoRA can change, by every name that files have for them.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::name::{LayerName, flat};
use crate::Part;
use crate::ldm::{ModelLayout, original};
use crate::weights::ModulePath;

/// The layers of one part of a model.
pub(super) struct Layers {
    /// In the order of the walk through the model.
    layers: Vec<Layer>,
    by_name: BTreeMap<String, usize>,
}

/// A layer with a weight of two dimensions or more.
pub(super) struct Layer {
    /// Its path in the model, in diffusers' names.
    pub(super) path: String,
    /// The shape of its weight in files: `[out, in]` or `[out, in, height, width]`.
    pub(super) shape: Vec<usize>,
}

impl Layers {
    /// The layers of a module that is that part of a model.
    pub(super) fn of<M: Module>(part: Part, module: &M) -> Self {
        let layers = Layer::all(module);
        let layout = ModelLayout::of(layers.iter().map(|layer| layer.path.as_str()));
        let mut by_name = BTreeMap::new();
        for (i, layer) in layers.iter().enumerate() {
            by_name.insert(flat(&layer.path), i);
            if let (Part::Unet, Some(original)) = (part, original(&layer.path, &layout)) {
                by_name.insert(flat(&original), i);
            }
        }
        Self { layers, by_name }
    }

    /// The layer that a file calls so.
    pub(super) fn get(&self, name: &str) -> Option<&Layer> {
        self.by_name.get(name).map(|i| &self.layers[*i])
    }

    /// The layer at a path.
    pub(super) fn at(&self, path: &str) -> Option<&Layer> {
        self.get(&flat(path)).filter(|layer| layer.path == path)
    }

    /// The paths of all layers, in the order of the walk.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().map(|layer| layer.path.as_str())
    }

    /// The path of the layer whose name is most like another.
    pub(super) fn nearest(&self, name: &LayerName) -> Option<String> {
        let LayerName::Flat(name) = name else {
            return None;
        };
        let nearest = crate::nearest(name, self.by_name.keys().map(String::as_str)).into_iter().next()?;
        self.get(&nearest).map(|layer| layer.path.clone())
    }
}

impl Layer {
    /// The layers of a module, in the order of the walk.
    pub(super) fn all<M: Module>(module: &M) -> Vec<Self> {
        let mut finder = Finder { path: ModulePath::default(), layers: Vec::new() };
        module.visit(&mut finder);
        finder.layers
    }
}

struct Finder {
    path: ModulePath,
    layers: Vec<Layer>,
}

impl ModuleVisitor for Finder {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.name();
        let Some(path) = name.strip_suffix(".weight").filter(|_| D >= 2) else {
            return;
        };
        let mut shape = param.lazy_shape().to_vec();
        if self.path.is_transposed(D) {
            shape.swap(0, 1);
        }
        self.layers.push(Layer { path: path.to_owned(), shape });
    }
}
