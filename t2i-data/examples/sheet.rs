//! Temporary.
use t2i_data::*;
fn main() {
    let archives = Archives::open(Archives::default_folder()).unwrap();
    let t = std::time::Instant::now();
    let library = Library::load(&archives, 64).unwrap();
    println!("{:?}", t.elapsed());
    let t = std::time::Instant::now();
    let _ = Library::load(&archives, 64).unwrap();
    println!("{:?}", t.elapsed());
    let (w, h) = (4 * 24, library.concepts().len().div_ceil(24));
    let mut out = image::RgbImage::new(w as u32 * 64, h as u32 * 64);
    let put = |out: &mut image::RgbImage, i: usize, p: Vec<f32>| {
        let (x, y) = ((i % w) as u32 * 64, (i / w) as u32 * 64);
        for yy in 0..64 {
            for xx in 0..64 {
                let v = |c: usize| ((p[c * 4096 + yy * 64 + xx] + 1.0) * 127.5) as u8;
                out.put_pixel(x + xx as u32, y + yy as u32, image::Rgb([v(0), v(1), v(2)]));
            }
        }
    };
    for i in 0..library.concepts().len() {
        for (s, style) in Style::ALL.into_iter().enumerate() {
            put(&mut out, 4 * i + s, library.render(&Scene::One { object: i, style, colour: Colour::White }));
        }
    }
    out.save("/tmp/sheet.png").unwrap();
    let scenes = Scenes::new(library.concepts(), 0, 0.4);
    let mut out = image::RgbImage::new(w as u32 * 64, h as u32 * 64);
    for i in 0..60 {
        let s = scenes.scene(i as u64);
        put(&mut out, i % 12 + i / 12 * w, library.render(&s));
        println!("{} | {}", library.caption(&s), scenes.caption(&s, i as u64));
    }
    image::imageops::crop(&mut out, 0, 0, 12 * 64, 5 * 64).to_image().save("/tmp/scenes.png").unwrap();
    let t = std::time::Instant::now();
    let scenes = Scenes::new(library.concepts(), 0, 0.4);
    for i in 0..1000 {
        library.render(&scenes.scene(i));
    }
    println!("{:?}", t.elapsed());
}
