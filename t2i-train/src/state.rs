//! A training on disk: saved whole, resumed bit for bit.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Bytes, FloatDType};
use serde::{Deserialize, Serialize};

use t2i_core::{Error, Result, Weights};

use crate::{Ema, Training};

/// What is written beside the tensors.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    /// How many steps were made.
    steps: u64,
    /// What was trained and how, in the caller's words.
    recipe: serde_json::Value,
}

impl<M: Module> Training<M> {
    /// Saves everything that the next step depends on, as `folder/step-<number>`: the weights, their running mean, the
    /// optimiser's memory, and `recipe`, which [`resume`](Self::resume) compares. Older steps are deleted once the new
    /// one is whole.
    ///
    /// # Errors
    /// If a file cannot be written; the step that was saved before is then still there.
    pub fn save(&self, folder: impl AsRef<Path>, recipe: &serde_json::Value) -> Result<()> {
        let folder = folder.as_ref();
        let whole = folder.join(format!("step-{:09}", self.steps()));
        let part = whole.with_extension("part");
        remove(&part)?;
        fs::create_dir_all(&part).map_err(Error::io(&part))?;
        if let Err(error) = self.write(&part, recipe) {
            // The error that matters is the first one.
            fs::remove_dir_all(&part).ok();
            return Err(error);
        }
        remove(&whole)?;
        fs::rename(&part, &whole).map_err(Error::io(&whole))?;
        saved(folder)?.into_iter().filter(|step| *step != whole).try_for_each(|step| remove(&step))
    }

    /// Goes on from the last step in `folder`, if there is one; says whether there was.
    ///
    /// # Errors
    /// If it was saved with another `recipe`, or from a model of other shapes, or a file is missing or corrupt.
    pub fn resume(&mut self, folder: impl AsRef<Path>, recipe: &serde_json::Value) -> Result<bool> {
        let Some(step) = saved(folder.as_ref())?.pop() else {
            return Ok(false);
        };
        self.read(&step, recipe)?;
        Ok(true)
    }

    fn write(&self, folder: &Path, recipe: &serde_json::Value) -> Result<()> {
        let write = |name: &str, weights: Weights| weights.write(folder.join(name), FloatDType::F32, &[]);
        write("model.safetensors", Weights::from_module("model", self.model())?)?;
        write("mean.safetensors", Weights::from_module("mean", &self.averaged())?)?;
        let optimizer = folder.join("optimizer.bpk");
        let bytes = self.optimizer.into_bytes().map_err(|e| Error::corrupt(&optimizer, e))?;
        fs::write(&optimizer, &bytes[..]).map_err(Error::io(&optimizer))?;
        let header = folder.join("training.json");
        let json = serde_json::to_vec_pretty(&Header { steps: self.steps(), recipe: recipe.clone() });
        fs::write(&header, json.map_err(|e| Error::corrupt(&header, e))?).map_err(Error::io(&header))
    }

    fn read(&mut self, folder: &Path, recipe: &serde_json::Value) -> Result<()> {
        let path = folder.join("training.json");
        let bytes = fs::read(&path).map_err(Error::io(&path))?;
        let header: Header = serde_json::from_slice(&bytes).map_err(|e| Error::corrupt(&path, e))?;
        check_recipe(&path, &header.recipe, recipe)?;
        let load = |name: &str| Weights::open(&folder.join(name))?.load(self.model().clone(), FloatDType::F32);
        let (model, mean) = (load("model.safetensors")?, load("mean.safetensors")?);
        let path = folder.join("optimizer.bpk");
        let bytes = fs::read(&path).map_err(Error::io(&path))?;
        let optimizer = self.optimizer.clone().from_bytes(Bytes::from_bytes_vec(bytes));
        self.optimizer = optimizer.map_err(|e| Error::corrupt(&path, e))?;
        self.ema = Ema::of(&mean);
        self.steps = header.steps;
        self.replace_model(model);
        Ok(())
    }
}

/// Names the first entry that differs.
fn check_recipe(path: &Path, found: &serde_json::Value, expected: &serde_json::Value) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let none = serde_json::Map::new();
    let [was, is] = [found, expected].map(|recipe| recipe.as_object().unwrap_or(&none));
    let differs = was.keys().chain(is.keys()).find(|key| was.get(*key) != is.get(*key));
    let key = differs.cloned().unwrap_or_else(|| "recipe".to_owned());
    let text = |recipe: &serde_json::Map<_, _>| {
        recipe.get(&key).map_or_else(|| "nothing".to_owned(), |value: &serde_json::Value| value.to_string())
    };
    Err(Error::corrupt(
        path,
        format!(
            "this training has `{key}` = {}, not {}: resume with that, or train in another folder",
            text(was),
            text(is)
        ),
    ))
}

/// The whole steps in a folder, the last one last.
fn saved(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut steps = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.strip_prefix("step-").is_some_and(|number| number.parse::<u64>().is_ok()) {
            steps.push(path);
        }
    }
    steps.sort();
    Ok(steps)
}

fn remove(folder: &Path) -> Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).map_err(Error::io(folder)),
        false => Ok(()),
    }
}
