//! Files with something after a colon, on the command line.

use std::path::{Path, PathBuf};

/// A learned embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    pub path: PathBuf,
    /// What stands for it in prompts; the file says it otherwise.
    pub token: Option<String>,
}

/// A LoRA.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    pub path: PathBuf,
    pub strength: f64,
}

/// `FILE` or `FILE:TOKEN`
pub fn embedding(text: &str) -> Result<Embedding, String> {
    Ok(match split(text) {
        (path, Some("")) => {
            return Err(format!("`{}:` has nothing after the colon; it must be a token", path.display()));
        }
        (path, token) => Embedding { path, token: token.map(str::to_owned) },
    })
}

/// `FILE` or `FILE:STRENGTH`
pub fn lora(text: &str) -> Result<Lora, String> {
    let (path, strength) = split(text);
    let number = |text: &str| text.parse().map_err(|_| format!("the strength `{text}` must be a number, as 0.8"));
    Ok(Lora { path, strength: strength.map_or(Ok(1.0), number)? })
}

/// At the last colon, unless there is a file with all of the name, or the colon belongs to a drive.
fn split(text: &str) -> (PathBuf, Option<&str>) {
    match text.rsplit_once(':') {
        Some((path, rest)) if path.len() > 1 && !rest.contains(['/', '\\']) && !Path::new(text).exists() => {
            (path.into(), Some(rest))
        }
        _ => (text.into(), None),
    }
}
