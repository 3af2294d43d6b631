//! Every object at the sizes that scenes need, and scenes put together from them.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use t2i_core::{Error, Result};

use crate::art::{Art, Cutout, fit};
use crate::{Archives, Concept, Relation, Scene, Style, concepts};

/// How much of the picture's side the larger side of an object takes: alone, and as one of two.
const SHARES: [f32; 2] = [0.8, 0.44];

/// Every concept in every style, at one size of picture.
pub struct Library {
    concepts: Vec<Concept>,
    size: usize,
    /// Concept by concept, style by style, alone and as one of two.
    cutouts: Vec<Cutout>,
}

impl Library {
    /// Draws everything for pictures of `size` x `size` pixels. That takes a minute; the result is kept beside the
    /// archives, and read from there the next time.
    ///
    /// # Errors
    /// If `size` is not in 16 to 512, an archive cannot be read, or the result cannot be kept.
    pub fn load(archives: &Archives, size: usize) -> Result<Self> {
        Self::with_concepts(archives, concepts()?, size)
    }

    /// As [`load`](Self::load), with concepts of one's own.
    ///
    /// # Errors
    /// As [`load`](Self::load); if there are no concepts.
    pub fn with_concepts(archives: &Archives, concepts: Vec<Concept>, size: usize) -> Result<Self> {
        if !(16..=512).contains(&size) {
            let expected = "16 to 512 pixels".to_owned();
            return Err(Error::InvalidValue { field: "size", value: size.to_string(), expected });
        }
        if concepts.is_empty() {
            let expected = "at least one".to_owned();
            return Err(Error::InvalidValue { field: "concepts", value: "none".to_owned(), expected });
        }
        let kept = kept_file(archives.folder(), &concepts, size);
        if let Some(cutouts) = fs::read(&kept).ok().and_then(|bytes| decode(&bytes, concepts.len())) {
            return Ok(Self { concepts, size, cutouts });
        }
        let bytes = encode(&draw_all(&Art::open(archives)?, &concepts, size)?);
        fs::write(&kept, &bytes).map_err(Error::io(&kept))?;
        // Read back, because what is kept is rounded: pictures are the same the first time and later.
        let cutouts = decode(&bytes, concepts.len()).ok_or_else(|| Error::corrupt(&kept, "it cannot be read back"))?;
        Ok(Self { concepts, size, cutouts })
    }

    /// Every concept, those included that are held out.
    pub fn concepts(&self) -> &[Concept] {
        &self.concepts
    }

    /// The side of the pictures, in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The full caption of a scene.
    pub fn caption(&self, scene: &Scene) -> String {
        scene.caption(|object| self.concepts[object].name.as_str())
    }

    /// A scene as pixels in [-1, 1], channel by channel: `[3, size, size]`.
    pub fn render(&self, scene: &Scene) -> Vec<f32> {
        let area = self.size * self.size;
        let ground = scene.colour().rgb().map(|value| f32::from(value) / 255.0);
        let mut pixels: Vec<f32> = ground.into_iter().flat_map(|value| std::iter::repeat_n(value, area)).collect();
        match *scene {
            Scene::One { object, style, .. } => self.paste(&mut pixels, self.cutout(object, style, 0), (0.5, 0.5)),
            Scene::Two { objects, relation, style, .. } => {
                for (object, centre) in objects.into_iter().zip(Relation::centres(relation)) {
                    self.paste(&mut pixels, self.cutout(object, style, 1), centre);
                }
            }
        }
        pixels.iter().map(|value| value * 2.0 - 1.0).collect()
    }

    /// A concept alone (`share` 0) or as one of two (1).
    pub(crate) fn cutout(&self, object: usize, style: Style, share: usize) -> &Cutout {
        &self.cutouts[(object * Style::ALL.len() + style as usize) * SHARES.len() + share]
    }

    /// Lays a cutout over pixels in [0, 1].
    fn paste(&self, pixels: &mut [f32], cutout: &Cutout, (x, y): (f32, f32)) {
        let (left, top) = (corner(self.size, x, cutout.width()), corner(self.size, y, cutout.height()));
        for (x, y, pixel) in cutout.enumerate_pixels() {
            let place = (top + y as usize) * self.size + left + x as usize;
            for channel in 0..3 {
                let under = &mut pixels[channel * self.size * self.size + place];
                *under = pixel[channel] + *under * (1.0 - pixel[3]);
            }
        }
    }
}

/// Where `length` pixels begin in a picture whose middle is to be at the share `centre` of its side.
pub(crate) fn corner(size: usize, centre: f32, length: u32) -> usize {
    (centre * size as f32 - length as f32 / 2.0).round() as usize
}

/// As many threads as there are processors, a concept at a time.
fn draw_all(art: &Art, concepts: &[Concept], size: usize) -> Result<Vec<Cutout>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = concepts.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let draw =
            |part: &'_ [Concept]| part.iter().map(|concept| draw(art, concept, size)).collect::<Result<Vec<_>>>();
        let parts: Vec<_> = concepts.chunks(share).map(|part| scope.spawn(move || draw(part))).collect();
        let drawn = parts.into_iter().map(|part| part.join().expect("drawing does not panic"));
        Ok(drawn.collect::<Result<Vec<_>>>()?.into_iter().flatten().flatten().collect())
    })
}

fn draw(art: &Art, concept: &Concept, size: usize) -> Result<Vec<Cutout>> {
    let mut cutouts = Vec::new();
    for style in Style::ALL {
        let drawn = art.draw(concept, style)?;
        cutouts.extend(SHARES.map(|share| fit(&drawn, (share * size as f32) as u32)));
    }
    Ok(cutouts)
}

/// The name changes with the list of concepts, so that what is kept is never another list's.
fn kept_file(folder: &Path, concepts: &[Concept], size: usize) -> PathBuf {
    let sum = concepts
        .iter()
        .flat_map(|concept| concept.code.bytes())
        .fold(5381u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(byte));
    folder.join(format!("drawn-{size}-{sum:08x}.bin"))
}

/// Width and height as 16 bits each, and four values of 8 bits a pixel.
fn encode(cutouts: &[Cutout]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for cutout in cutouts {
        bytes.extend((cutout.width() as u16).to_le_bytes());
        bytes.extend((cutout.height() as u16).to_le_bytes());
        bytes.extend(cutout.as_raw().iter().map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8));
    }
    bytes
}

fn decode(mut bytes: &[u8], concepts: usize) -> Option<Vec<Cutout>> {
    let mut cutouts = Vec::new();
    while let Some((&[a, b, c, d], rest)) = bytes.split_first_chunk() {
        let (width, height) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let (pixels, rest) = rest.split_at_checked(4 * usize::from(width) * usize::from(height))?;
        let values = pixels.iter().map(|value| f32::from(*value) / 255.0).collect();
        cutouts.push(Cutout::from_raw(u32::from(width), u32::from(height), values)?);
        bytes = rest;
    }
    (cutouts.len() == concepts * Style::ALL.len() * SHARES.len()).then_some(cutouts)
}
