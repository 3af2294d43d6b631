//! Archives made in the test: a few shapes in the place of emoji art.
#![allow(dead_code, unreachable_pub, reason = "each test uses its share")]

use std::fs::File;
use std::io::Cursor;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{ImageFormat, Rgba, RgbaImage};
use serde_json::{Value, json};
use t2i_data::{Archives, Concept, EMOJIBASE, FLUENT, FLUENT_3D, FLUENT_FLAT, Library, NOTO, PACKAGES, Package};
use tempfile::TempDir;

/// Code point, name, and shape in a square of 32: a red square, a blue bar, and a green square that is half transparent.
const SHAPES: [(&str, &str, &str); 3] = [
    ("1f7e5", "square", "<path fill=\"#f00\" d=\"M8 8h16v16H8z\"/>"),
    ("1f4cf", "bar", "<path fill=\"#00f\" d=\"M0 12h32v8H0z\"/>"),
    ("1fa9f", "pane", "<path fill=\"#0f0\" fill-opacity=\"0.5\" d=\"M8 8h16v16H8z\"/>"),
];

/// The concepts of these shapes.
pub fn concepts() -> Vec<Concept> {
    SHAPES.map(|(code, name, _)| Concept { code: code.to_owned(), name: name.to_owned(), held_out: false }).to_vec()
}

/// A folder with every package.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    PACKAGES.into_iter().for_each(|package| write(folder.path(), package, package.version));
    folder
}

/// The shapes, drawn.
pub fn library(size: usize) -> Library {
    let folder = folder();
    Library::with_concepts(&Archives::open(folder.path()).unwrap(), concepts(), size).unwrap()
}

/// The real art, or nothing where this machine has not fetched it.
pub fn real(size: usize) -> Option<Library> {
    match Archives::open(Archives::default_folder()) {
        Ok(archives) => Some(Library::load(&archives, size).unwrap()),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// Writes a package that says it has this version.
pub fn write(folder: &Path, package: Package, version: &str) {
    let description = json!({ "name": package.name, "version": version }).to_string();
    let mut members = vec![("package.json".to_owned(), description.into_bytes())];
    members.extend(match package {
        FLUENT_3D => solids(),
        EMOJIBASE => vec![("en/data.json".to_owned(), labels())],
        _ => vec![("icons.json".to_owned(), icons()), ("chars.json".to_owned(), names(package))],
    });
    let file = File::create(folder.join(package.file_name())).unwrap();
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, format!("package/{name}"), bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
}

fn icons() -> Vec<u8> {
    let icons: Value = SHAPES.iter().map(|(_, name, body)| ((*name).to_owned(), json!({ "body": body }))).collect();
    json!({ "width": 32, "height": 32, "icons": icons }).to_string().into_bytes()
}

/// As in the real packages, the set with gradients has none.
fn names(package: Package) -> Vec<u8> {
    let names = SHAPES.iter().filter(|_| [NOTO, FLUENT_FLAT].contains(&package));
    let names: Value = names.map(|(code, name, _)| ((*code).to_owned(), json!(name))).collect();
    assert!(package != FLUENT || names == json!({}));
    names.to_string().into_bytes()
}

fn labels() -> Vec<u8> {
    json!([{ "label": "red square", "tags": ["red", "geometric"] }, { "label": "ruler" }]).to_string().into_bytes()
}

/// The same shapes as pixels.
fn solids() -> Vec<(String, Vec<u8>)> {
    let square = |x: u32, y: u32| (8..24).contains(&x) && (8..24).contains(&y);
    let pixel = |name: &str, x: u32, y: u32| match name {
        "square" if square(x, y) => [255, 0, 0, 255],
        "bar" if (12..20).contains(&y) => [0, 0, 255, 255],
        "pane" if square(x, y) => [0, 255, 0, 128],
        _ => [0; 4],
    };
    let solid = |(code, name, _): &(&str, &str, &str)| {
        let mut webp = Cursor::new(Vec::new());
        let picture = RgbaImage::from_fn(32, 32, |x, y| Rgba(pixel(name, x, y)));
        picture.write_to(&mut webp, ImageFormat::WebP).unwrap();
        (format!("assets/{code}.webp"), webp.into_inner())
    };
    SHAPES.iter().map(solid).collect()
}
