//! Where a walk through a module is, in the names of files.

/// The path from the root of a module to where a visitor or mapper is.
///
/// Two names differ between Burn and files: a norm's `gamma` and `beta` are `weight` and `bias`. The variants of an
/// enum are one module to the outside.
#[derive(Default)]
pub(crate) struct ModulePath {
    names: Vec<String>,
    containers: Vec<String>,
}

impl ModulePath {
    pub(crate) fn enter(&mut self, name: &str, container: &str) {
        self.containers.push(container.to_owned());
        if !container.starts_with("Enum:") {
            self.names.push(name.to_owned());
        }
    }

    pub(crate) fn exit(&mut self, container: &str) {
        self.containers.pop();
        if !container.starts_with("Enum:") {
            self.names.pop();
        }
    }

    /// The file's name of the parameter here.
    pub(crate) fn name(&self) -> String {
        let norm = matches!(self.container(), "Struct:GroupNorm" | "Struct:LayerNorm");
        let (last, parents) = self.names.split_last().expect("a parameter has a name");
        let last = match last.as_str() {
            "gamma" if norm => "weight",
            "beta" if norm => "bias",
            other => other,
        };
        parents.iter().map(String::as_str).chain([last]).collect::<Vec<_>>().join(".")
    }

    /// Whether a parameter of that many dimensions is `[in, out]` here and `[out, in]` in files.
    pub(crate) fn is_transposed(&self, dimensions: usize) -> bool {
        dimensions == 2 && self.container() == "Struct:Linear"
    }

    fn container(&self) -> &str {
        self.containers.last().map(String::as_str).unwrap_or_default()
    }
}
