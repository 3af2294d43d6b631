//! The npm packages that the art comes in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;
use t2i_core::{Error, Result};

/// A package of the npm registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Its name, with the scope.
    pub name: &'static str,
    /// The version that the project was made with.
    pub version: &'static str,
}

/// Noto Emoji by Google, Apache-2.0. <https://github.com/googlefonts/noto-emoji>
pub const NOTO: Package = Package { name: "@iconify-json/noto", version: "1.2.9" };
/// Fluent Emoji by Microsoft, MIT: with gradients. <https://github.com/microsoft/fluentui-emoji>
pub const FLUENT: Package = Package { name: "@iconify-json/fluent-emoji", version: "1.2.7" };
/// Fluent Emoji by Microsoft, MIT: flat colours.
pub const FLUENT_FLAT: Package = Package { name: "@iconify-json/fluent-emoji-flat", version: "1.2.6" };
/// Fluent Emoji by Microsoft, MIT: rendered in three dimensions; packaged by LobeHub.
pub const FLUENT_3D: Package = Package { name: "@lobehub/fluent-emoji-3d", version: "1.1.0" };

/// What emoji are called, MIT. <https://emojibase.dev>
pub const EMOJIBASE: Package = Package { name: "emojibase-data", version: "17.0.0" };

/// Every package.
pub const PACKAGES: [Package; 5] = [NOTO, FLUENT, FLUENT_FLAT, FLUENT_3D, EMOJIBASE];

impl Package {
    /// The name of the file that `npm pack` writes.
    pub fn file_name(self) -> String {
        format!("{}-{}.tgz", self.name.trim_start_matches('@').replace('/', "-"), self.version)
    }

    /// The command that fetches it.
    pub fn command(self) -> String {
        format!("npm pack {}@{}", self.name, self.version)
    }
}

/// A folder with the packages, as `npm pack` writes them.
#[derive(Debug, Clone)]
pub struct Archives {
    folder: PathBuf,
}

impl Archives {
    /// The folder of this user: `emoji` in `$T2I_CACHE`, in `$XDG_CACHE_HOME/t2i`, or in `~/.cache/t2i`.
    pub fn default_folder() -> PathBuf {
        default_folder(|name| std::env::var_os(name))
    }

    /// Opens a folder that holds every package.
    ///
    /// # Errors
    /// If one is missing; the error says how to fetch it.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        match Self::missing(&folder).first() {
            None => Ok(Self { folder }),
            Some(package) => Err(Error::MissingPart {
                path: folder,
                what: format!("{} (fetch it there with `{}`)", package.file_name(), package.command()),
            }),
        }
    }

    /// The packages that a folder lacks.
    pub fn missing(folder: &Path) -> Vec<Package> {
        PACKAGES.into_iter().filter(|package| !folder.join(package.file_name()).is_file()).collect()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The members of a package for whose path below `package/` `wanted` holds.
    ///
    /// # Errors
    /// If the archive cannot be read, is corrupt, or of another version.
    pub fn members(&self, package: Package, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Vec<u8>>> {
        let path = self.folder.join(package.file_name());
        let corrupt = |e: std::io::Error| Error::corrupt(&path, e);
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(&path).map_err(Error::io(&path))?));
        let mut members = BTreeMap::new();
        let mut description = None;
        for entry in archive.entries().map_err(corrupt)? {
            let mut entry = entry.map_err(corrupt)?;
            let name = entry.path().map_err(corrupt)?.to_string_lossy().into_owned();
            let name = name.strip_prefix("package/").unwrap_or(&name).to_owned();
            if name != "package.json" && !wanted(&name) {
                continue;
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(corrupt)?;
            match name.as_str() {
                "package.json" => description = Some(bytes),
                _ => drop(members.insert(name, bytes)),
            }
        }
        check_version(&path, package, description.as_deref())?;
        Ok(members)
    }

    /// What emoji are called in English, a line each: label and tags.
    ///
    /// # Errors
    /// As [`json`](Self::json).
    pub fn labels(&self) -> Result<Vec<String>> {
        let emoji = self.json(EMOJIBASE, "en/data.json")?;
        let label = |emoji: &Value| {
            let tags = emoji["tags"].as_array().into_iter().flatten().filter_map(Value::as_str);
            emoji["label"].as_str().into_iter().chain(tags).collect::<Vec<_>>().join(" ")
        };
        Ok(emoji.as_array().into_iter().flatten().map(label).collect())
    }

    /// A JSON file of a package.
    ///
    /// # Errors
    /// As [`members`](Self::members); if there is no such file, or it is no JSON.
    pub fn json(&self, package: Package, name: &str) -> Result<Value> {
        let path = self.folder.join(package.file_name());
        let members = self.members(package, |member| member == name)?;
        let bytes = members.get(name).ok_or_else(|| Error::corrupt(&path, format!("it has no {name}")))?;
        serde_json::from_slice(bytes).map_err(|e| Error::corrupt(&path, format!("{name}: {e}")))
    }
}

fn default_folder(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache"))).unwrap_or_default();
    set("T2I_CACHE").unwrap_or(cache.join("t2i")).join("emoji")
}

fn check_version(path: &Path, package: Package, description: Option<&[u8]>) -> Result<()> {
    let json: Option<Value> = description.and_then(|bytes| serde_json::from_slice(bytes).ok());
    let found = json.as_ref().and_then(|json| json["version"].as_str()).unwrap_or("without a version");
    match found == package.version {
        true => Ok(()),
        false => Err(Error::corrupt(path, format!("it is {found}, not version {}", package.version))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_variable_says_where_the_cache_is() {
        let folder = |set: &[(&str, &str)]| {
            default_folder(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        let (home, cache) = (("HOME", "/home/me"), ("XDG_CACHE_HOME", "/cache"));
        assert_eq!(folder(&[home]), Path::new("/home/me/.cache/t2i/emoji"));
        assert_eq!(folder(&[home, cache]), Path::new("/cache/t2i/emoji"));
        assert_eq!(folder(&[home, ("XDG_CACHE_HOME", "")]), Path::new("/home/me/.cache/t2i/emoji"));
        assert_eq!(folder(&[home, cache, ("T2I_CACHE", "/mine")]), Path::new("/mine/emoji"));
    }
}
