//! Pictures in files, and pixels in tensors.
//!
//! Pixels are f32, `[batch, channels, height, width]`, in [-1, 1]. A mask has one channel of 0 and 1: 1 is where the
//! picture is made anew. Everything is rounded as diffusers' `VaeImageProcessor` with Pillow rounds.

mod resize;

use std::io::Cursor;
use std::path::Path;

use ::image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageReader, RgbImage,
    codecs::png::PngEncoder,
};
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::io::Write;

use self::resize::lanczos;
use crate::{Error, Result, files};

/// Reads a PNG, JPEG or WebP file, upright as its EXIF orientation says, without its transparency.
///
/// # Shapes
/// - output: `[1, 3, height, width]`, in [-1, 1]
///
/// # Errors
/// If the file cannot be read or is no such picture.
pub fn read_image(path: impl AsRef<Path>, device: &Device) -> Result<Tensor<4>> {
    Ok(pixels(&open(path.as_ref())?, device))
}

/// [`read_image`], brought to a size with Lanczos' filter.
///
/// # Shapes
/// - output: `[1, 3, height, width]`, in [-1, 1]
///
/// # Errors
/// If the file cannot be read or is no picture, or a side is 0.
pub fn read_image_resized(path: impl AsRef<Path>, width: usize, height: usize, device: &Device) -> Result<Tensor<4>> {
    Ok(pixels(&resized(open(path.as_ref())?, width, height)?, device))
}

/// Reads a picture as a mask: 1 where it is lighter than middle grey, 0 elsewhere.
///
/// # Shapes
/// - output: `[1, 1, height, width]`, 0 and 1
///
/// # Errors
/// If the file cannot be read or is no picture.
pub fn read_mask(path: impl AsRef<Path>, device: &Device) -> Result<Tensor<4>> {
    Ok(mask(&open(path.as_ref())?, device))
}

/// [`read_mask`], brought to a size with Lanczos' filter before it is made of 0 and 1.
///
/// # Shapes
/// - output: `[1, 1, height, width]`, 0 and 1
///
/// # Errors
/// If the file cannot be read or is no picture, or a side is 0.
pub fn read_mask_resized(path: impl AsRef<Path>, width: usize, height: usize, device: &Device) -> Result<Tensor<4>> {
    Ok(mask(&resized(open(path.as_ref())?, width, height)?, device))
}

/// Writes one picture as PNG, 8 bits a channel. Values outside [-1, 1] are clamped.
///
/// # Shapes
/// - pixels: `[1, 3, height, width]`, in [-1, 1]
///
/// # Errors
/// If there is not exactly one picture of three channels, a pixel is NaN or infinite, or the file cannot be written;
/// what was there then stays as it was.
pub fn write_png(path: impl AsRef<Path>, pixels: Tensor<4>) -> Result<()> {
    let path = path.as_ref();
    let picture = rgb(pixels)?;
    let mut png = Cursor::new(Vec::new());
    let (width, height) = picture.dimensions();
    PngEncoder::new(&mut png)
        .write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8)
        .map_err(|error| typed(path, error))?;
    files::replace(path, |file| file.write_all(png.get_ref()))
}

fn open(path: &Path) -> Result<RgbImage> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(Error::io(path))?;
    let mut decoder = reader.into_decoder().map_err(|error| typed(path, error))?;
    let orientation = decoder.orientation().map_err(|error| typed(path, error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| typed(path, error))?;
    picture.apply_orientation(orientation);
    Ok(match picture {
        // Pillow keeps the upper 8 of 16 bits, and does not round.
        DynamicImage::ImageRgb16(_) | DynamicImage::ImageRgba16(_) => upper_bytes(&picture.into_rgb16()),
        _ => picture.into_rgb8(),
    })
}

fn upper_bytes(picture: &::image::ImageBuffer<::image::Rgb<u16>, Vec<u16>>) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        ::image::Rgb(picture.get_pixel(x, y).0.map(|value| (value >> 8) as u8))
    })
}

fn resized(picture: RgbImage, width: usize, height: usize) -> Result<RgbImage> {
    for (field, side) in [("width", width), ("height", height)] {
        if side == 0 || u32::try_from(side).is_err() {
            return Err(Error::InvalidValue { field, value: side.to_string(), expected: "at least 1".to_owned() });
        }
    }
    Ok(lanczos(picture, width as u32, height as u32))
}

fn pixels(picture: &RgbImage, device: &Device) -> Tensor<4> {
    let values = picture.as_raw().iter().map(|byte| f32::from(*byte) / 255.0 * 2.0 - 1.0);
    tensor(values.collect(), picture, 3, device).permute([0, 3, 1, 2])
}

fn mask(picture: &RgbImage, device: &Device) -> Tensor<4> {
    let values = picture.pixels().map(|pixel| if f32::from(grey(pixel.0)) / 255.0 < 0.5 { 0.0 } else { 1.0 });
    tensor(values.collect(), picture, 1, device).permute([0, 3, 1, 2])
}

/// `[1, height, width, channels]`
fn tensor(values: Vec<f32>, picture: &RgbImage, channels: usize, device: &Device) -> Tensor<4> {
    let shape = [1, picture.height() as usize, picture.width() as usize, channels];
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
}

/// ITU-R 601, in Pillow's fixed point.
/// <https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Convert.c>
fn grey([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

fn rgb(pixels: Tensor<4>) -> Result<RgbImage> {
    let [batch, channels, height, width] = pixels.dims();
    let invalid = || Error::InvalidValue {
        field: "pixels",
        value: format!("{:?}", [batch, channels, height, width]),
        expected: "one picture, [1, 3, height, width]".to_owned(),
    };
    if [batch, channels] != [1, 3] {
        return Err(invalid());
    }
    let values = pixels.permute([0, 2, 3, 1]).into_data_dtype(DType::F32);
    let values = values.as_slice::<f32>().map_err(|_| invalid())?;
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::NotFinite { stage: "the picture".to_owned(), latent: None });
    }
    let byte = |x: &f32| ((x * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8;
    RgbImage::from_raw(width as u32, height as u32, values.iter().map(byte).collect()).ok_or_else(invalid)
}

fn typed(path: &Path, error: ImageError) -> Error {
    match error {
        ImageError::IoError(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => Error::io(path)(e),
        other => Error::corrupt(path, other),
    }
}
