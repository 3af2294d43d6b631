//! Scenes side by side, with their captions.

use std::path::Path;
use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, PremultipliedColorU8, Transform};
use resvg::usvg::{self, fontdb};
use t2i::Error;
use t2i_data::{Library, Scenes};

const COLUMNS: usize = 6;
const ROWS: usize = 5;
/// Pixels of a caption's line, and of a letter on average.
const LINE: usize = 12;
const LETTER: f32 = 5.0;
/// Lines of a caption, at most.
const LINES: usize = 4;
/// Pixels around a picture.
const GAP: usize = 8;
/// Pictures are shown at least this large: each pixel as a square.
const SHOWN: usize = 128;

/// # Errors
/// If the sheet cannot be written.
pub(crate) fn write(path: &Path, library: &Library, scenes: &Scenes) -> Result<(), Error> {
    let zoom = SHOWN.div_ceil(library.size());
    let side = zoom * library.size();
    let (width, height) = (side + 2 * GAP, side + 2 * GAP + LINES * LINE);
    let failed = |detail: String| Error::io(path)(std::io::Error::other(detail));
    let pixmap = Pixmap::new((COLUMNS * width) as u32, (ROWS * height) as u32);
    let mut pixmap = pixmap.ok_or_else(|| failed("too large a sheet".to_owned()))?;
    pixmap.fill(resvg::tiny_skia::Color::WHITE);
    let mut text = String::new();
    for number in 0..COLUMNS * ROWS {
        let (left, top) = (number % COLUMNS * width + GAP, number / COLUMNS * height + GAP);
        let scene = scenes.scene(number as u64);
        paste(&mut pixmap, &library.render(&scene), library.size(), zoom, (left, top));
        text += &lines(&library.caption(&scene), side, left, top + side);
    }
    set(&mut pixmap, &text).map_err(|e| failed(e.to_string()))?;
    pixmap.save_png(path).map_err(|e| failed(e.to_string()))?;
    eprintln!("{}", path.display());
    Ok(())
}

fn paste(pixmap: &mut Pixmap, picture: &[f32], size: usize, zoom: usize, (left, top): (usize, usize)) {
    let (area, width) = (size * size, pixmap.width() as usize);
    for (y, x) in (0..size * zoom).flat_map(|y| (0..size * zoom).map(move |x| (y, x))) {
        let value =
            |channel: usize| ((picture[channel * area + y / zoom * size + x / zoom] + 1.0) * 127.5).round() as u8;
        let colour = PremultipliedColorU8::from_rgba(value(0), value(1), value(2), 255);
        pixmap.pixels_mut()[(top + y) * width + left + x] = colour.expect("an opaque colour is valid");
    }
}

/// A caption as SVG, broken into lines between words.
fn lines(caption: &str, side: usize, left: usize, top: usize) -> String {
    let mut lines = vec![String::new()];
    for word in caption.split(' ') {
        let last = lines.last_mut().expect("there is a first line");
        match (last.len() + word.len()) as f32 * LETTER > side as f32 {
            true => lines.push(word.to_owned()),
            false => *last = format!("{last} {word}").trim().to_owned(),
        }
    }
    let place = |i: usize| format!("x=\"{left}\" y=\"{}\"", top + (i + 1) * LINE);
    lines.iter().enumerate().map(|(i, line)| format!("<text {}>{line}</text>", place(i))).collect()
}

/// Sets the text in a font of its own crate, so that a machine without fonts draws the same.
fn set(pixmap: &mut Pixmap, text: &str) -> Result<(), usvg::Error> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let options = usvg::Options { fontdb: Arc::new(fonts), ..usvg::Options::default() };
    let (width, height) = (pixmap.width(), pixmap.height());
    let head = "xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"9\"";
    let svg = format!("<svg {head} width=\"{width}\" height=\"{height}\">{text}</svg>");
    resvg::render(&usvg::Tree::from_str(&svg, &options)?, Transform::identity(), &mut pixmap.as_mut());
    Ok(())
}
