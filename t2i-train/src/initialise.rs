//! Where weights begin.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// The deviation of a text encoder's embeddings: `initializer_range` of CLIP.
/// <https://github.com/huggingface/transformers/blob/main/src/transformers/models/clip/configuration_clip.py>
const EMBEDDING: f64 = 0.02;

/// Makes fresh weights better to start from: small embeddings, and a network that predicts nothing.
///
/// Burn draws embeddings of unit variance, which learning takes long to forget; and a network that begins with zero
/// does not have to unlearn its first random answers. Layers keep Burn's defaults, which are torch's.
pub fn initialise<M: Module>(module: M) -> M {
    module.map(&mut Initialiser { path: Vec::new() })
}

struct Initialiser {
    path: Vec<String>,
}

impl Initialiser {
    fn is_under(&self, name: &str) -> bool {
        self.path.iter().any(|part| part == name)
    }
}

impl ModuleMapper for Initialiser {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let scale = match () {
            () if self.is_under("token_embedding") || self.is_under("position_embedding") => EMBEDDING,
            () if self.path.starts_with(&["unet".to_owned(), "conv_out".to_owned()]) => 0.0,
            () => return param,
        };
        let id = param.id;
        let value = param.val();
        let scaled = value.clone().inner() * scale;
        // What training changes has to be a leaf of the graph, not a product.
        let leaf = if value.device().is_autodiff() { scaled.autodiff() } else { scaled };
        param.transform_for_load(leaf, id)
    }
}
