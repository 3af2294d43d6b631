//! Where weights begin.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// The deviation of the places of words. The words themselves have 1: with small ones, as CLIP has them, the encoder says
/// at first the same of every caption, and the pictures learn to tell objects apart one by one instead of all at once.
const PLACE: f64 = 0.25;

/// Makes fresh weights better to start from: words that matter more than where they stand, and a network that predicts
/// nothing, so that it does not have to unlearn its first random answers. Layers keep Burn's defaults, which are torch's.
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
            () if self.is_under("position_embedding") => PLACE,
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
