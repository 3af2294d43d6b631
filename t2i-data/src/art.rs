//! From packages to pixels: every concept in every style.

use std::collections::BTreeMap;
use std::path::Path;

use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Rgba};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg;
use serde_json::Value;
use t2i_core::{Error, Result};

use crate::archives::{Archives, FLUENT, FLUENT_3D, FLUENT_FLAT, NOTO, Package};
use crate::{Concept, Style};

/// The side at which vector art is drawn before it is made small.
const DRAWN: f32 = 256.0;

/// Pixels with transparency, multiplied by it, each value in [0, 1].
pub(crate) type Cutout = ImageBuffer<Rgba<f32>, Vec<f32>>;

/// The art of all packages, still undrawn.
pub(crate) struct Art {
    noto: Vectors,
    fluent: Vectors,
    flat: Vectors,
    solid: BTreeMap<String, Vec<u8>>,
}

/// One icon set of Iconify.
struct Vectors {
    package: Package,
    icons: Value,
    /// From code points to the names of icons.
    names: Value,
}

impl Art {
    /// # Errors
    /// If a package cannot be read.
    pub(crate) fn open(archives: &Archives) -> Result<Self> {
        let flat = Vectors::open(archives, FLUENT_FLAT)?;
        // The set with gradients lists no code points, and has the names of the flat one.
        let fluent =
            Vectors { package: FLUENT, icons: archives.json(FLUENT, "icons.json")?, names: flat.names.clone() };
        Ok(Self {
            noto: Vectors::open(archives, NOTO)?,
            fluent,
            flat,
            solid: archives.members(FLUENT_3D, |name| name.starts_with("assets/"))?,
        })
    }

    /// One concept in one style, cut to what is visible of it.
    ///
    /// # Errors
    /// If the package does not have it, or cannot be drawn.
    pub(crate) fn draw(&self, concept: &Concept, style: Style) -> Result<Cutout> {
        let drawn = match style {
            Style::Cartoon => self.noto.draw(concept),
            Style::Glossy => self.fluent.draw(concept),
            Style::Flat => self.flat.draw(concept),
            Style::Solid => self.solid(concept),
        }?;
        visible(&drawn).ok_or_else(|| Error::corrupt(Path::new(style.name()), format!("`{}` is empty", concept.name)))
    }

    fn solid(&self, concept: &Concept) -> Result<Cutout> {
        let path = FLUENT_3D.file_name();
        let bytes = codes(&concept.code).find_map(|code| self.solid.get(&format!("assets/{code}.webp")));
        let bytes = bytes.ok_or_else(|| lacks(FLUENT_3D, concept))?;
        let picture = image::load_from_memory(bytes).map_err(|e| Error::corrupt(&path, e))?;
        let mut picture = picture.to_rgba32f();
        for Rgba([r, g, b, a]) in picture.pixels_mut() {
            [r, g, b].into_iter().for_each(|value| *value *= *a);
        }
        Ok(picture)
    }
}

impl Vectors {
    fn open(archives: &Archives, package: Package) -> Result<Self> {
        let (icons, names) = (archives.json(package, "icons.json")?, archives.json(package, "chars.json")?);
        Ok(Self { package, icons, names })
    }

    fn draw(&self, concept: &Concept) -> Result<Cutout> {
        let svg = self.svg(concept).ok_or_else(|| lacks(self.package, concept))?;
        rasterise(&svg)
            .map_err(|detail| Error::corrupt(self.package.file_name(), format!("`{}`: {detail}", concept.name)))
    }

    fn svg(&self, concept: &Concept) -> Option<String> {
        let name = codes(&concept.code).find_map(|code| self.names[code].as_str())?;
        let name = self.icons["aliases"][name]["parent"].as_str().unwrap_or(name);
        let body = self.icons["icons"][name]["body"].as_str()?;
        let size = self.icons["width"].as_u64()?;
        let links = "xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"";
        Some(format!("<svg {links} viewBox=\"0 0 {size} {size}\" width=\"{size}\" height=\"{size}\">{body}</svg>"))
    }
}

/// The spellings of a code point: packages disagree about the selector of the coloured form.
fn codes(code: &str) -> impl Iterator<Item = String> {
    [code.to_owned(), code.replace("-fe0f", ""), format!("{code}-fe0f")].into_iter()
}

fn lacks(package: Package, concept: &Concept) -> Error {
    Error::corrupt(package.file_name(), format!("it has no `{}` ({})", concept.name, concept.code))
}

fn rasterise(svg: &str) -> Result<Cutout, String> {
    let tree = usvg::Tree::from_str(svg, &usvg::Options::default()).map_err(|e| e.to_string())?;
    let scale = DRAWN / tree.size().width();
    let mut pixmap = Pixmap::new(DRAWN as u32, DRAWN as u32).ok_or("no memory")?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    let values = pixmap.data().iter().map(|value| f32::from(*value) / 255.0).collect();
    Cutout::from_raw(pixmap.width(), pixmap.height(), values).ok_or_else(|| "no pixels".to_owned())
}

/// The smallest rectangle that holds every pixel of some opacity.
fn visible(picture: &Cutout) -> Option<Cutout> {
    let opaque = || picture.enumerate_pixels().filter(|(_, _, pixel)| pixel[3] > 0.05);
    let (left, right) = (opaque().map(|(x, _, _)| x).min()?, opaque().map(|(x, _, _)| x).max()?);
    let (top, bottom) = (opaque().map(|(_, y, _)| y).min()?, opaque().map(|(_, y, _)| y).max()?);
    Some(image::imageops::crop_imm(picture, left, top, right - left + 1, bottom - top + 1).to_image())
}

/// Makes the larger side `side` pixels long.
pub(crate) fn fit(picture: &Cutout, side: u32) -> Cutout {
    let (width, height) = picture.dimensions();
    let scaled = |length: u32| ((length * side) as f32 / width.max(height) as f32).round().max(1.0) as u32;
    resize(picture, scaled(width), scaled(height), FilterType::Triangle)
}
