//! What keeps the samplers readable.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// The most lines of a file of a sampler, without its tests.
const MOST: usize = 120;

/// The files of a folder and of those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_sampler_is_a_short_file() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/samplers"));
    assert!(files.len() > 40);
    let length = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count()
    };
    let long: Vec<(PathBuf, usize)> =
        files.into_iter().map(|path| (path.clone(), length(&path))).filter(|(_, lines)| *lines > MOST).collect();
    assert!(long.is_empty(), "over {MOST} lines: {long:?}");
}
