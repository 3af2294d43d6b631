//! A checkpoint in several files, and the index that says which tensor is in which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::{Entry, Weights};
use crate::{Error, Result, nearest};

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The tensors of all shards that the index at `path` names.
pub(super) fn entries(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let index: Index = serde_json::from_str(&text).map_err(|e| Error::corrupt(path, e))?;
    let mut merged = Weights { origin: path.display().to_string(), tensors: BTreeMap::new() };
    for shard in index.weight_map.values().collect::<BTreeSet<_>>() {
        let tensors = open(path, shard)?;
        let listed = index.weight_map.iter().filter(|(_, file)| *file == shard);
        check_present(path, &tensors, listed.map(|(name, _)| name))?;
        for (name, entry) in tensors.tensors {
            merged.insert(name, entry)?;
        }
    }
    Ok(merged.tensors)
}

fn open(index: &Path, shard: &str) -> Result<Weights> {
    if Path::new(shard).file_name() != Some(shard.as_ref()) || shard.ends_with(".json") {
        return Err(Error::corrupt(index, format!("`{shard}` is not the name of a shard beside the index")));
    }
    let path = index.with_file_name(shard);
    match path.exists() {
        true => Weights::open(&path),
        false => Err(Error::MissingPart { path: index.to_owned(), what: format!("the shard `{shard}`") }),
    }
}

fn check_present<'a>(index: &Path, shard: &Weights, mut listed: impl Iterator<Item = &'a String>) -> Result<()> {
    match listed.find(|name| !shard.tensors.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Error::MissingTensor {
            origin: format!("{}, as {} lists it", shard.origin, index.display()),
            tensor: name.clone(),
            nearest: nearest(name, shard.names()).into_iter().next(),
        }),
    }
}
