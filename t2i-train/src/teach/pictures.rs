//! The pictures of a folder, each with its caption, if it has one.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use t2i_core::{Error, Result, read_image, read_image_resized};

/// A picture to learn from.
#[derive(Debug, Clone)]
pub struct Picture {
    /// In [-1, 1]. `[1, 3, side, side]`
    pub pixels: Tensor<4>,
    /// What it shows, of the file beside it that has its name and ends in `.txt`. `{}` stands for the new word.
    pub caption: Option<String>,
}

/// Reads all PNG, JPEG and WebP files of a folder, in the order of their names. Each is brought to `side` by its shorter
/// side, and cut to a square in the middle.
///
/// # Errors
/// If the folder or a file cannot be read, a picture is corrupt, or there is none.
pub fn read_pictures(folder: impl AsRef<Path>, side: usize, device: &Device) -> Result<Vec<Picture>> {
    let folder = folder.as_ref();
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(Error::io(folder))?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| is_picture(path));
    paths.sort();
    if paths.is_empty() {
        let what = "a picture (.png, .jpg, .jpeg or .webp)".to_owned();
        return Err(Error::MissingPart { path: folder.to_owned(), what });
    }
    paths.into_iter().map(|path| read(&path, side, device)).collect()
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    matches!(extension.to_str(), Some("png" | "jpg" | "jpeg" | "webp"))
}

fn read(path: &Path, side: usize, device: &Device) -> Result<Picture> {
    let [_, _, height, width] = read_image(path, device)?.dims();
    let scaled = |n: usize| (n * side).div_ceil(height.min(width));
    let (width, height) = (scaled(width), scaled(height));
    let pixels = read_image_resized(path, width, height, device)?;
    let pixels = pixels.narrow(2, (height - side) / 2, side).narrow(3, (width - side) / 2, side);
    Ok(Picture { pixels, caption: caption(&path.with_extension("txt"))? })
}

fn caption(path: &PathBuf) -> Result<Option<String>> {
    match path.exists() {
        true => Ok(Some(std::fs::read_to_string(path).map_err(Error::io(path))?.trim().to_owned())),
        false => Ok(None),
    }
}
