//! Line charts in small multiples, as SVG and PNG. The text of the PNG is set in a font of its own crate, so that a
//! machine without fonts draws the same picture.
#![allow(dead_code, unreachable_pub, reason = "each program uses its share")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use resvg::{tiny_skia, usvg};

/// Colours that people with any kind of sight can tell apart on white, and the dashes that go with them.
/// <https://jfly.uni-koeln.de/color/>
const STYLES: [(RGBColor, &str); 7] = [
    (RGBColor(0, 114, 178), ""),
    (RGBColor(213, 94, 0), "7 3"),
    (RGBColor(0, 158, 115), "2 2.5"),
    (RGBColor(204, 121, 167), "9 3 2 3"),
    (RGBColor(230, 159, 0), "4 2"),
    (RGBColor(86, 180, 233), "12 3"),
    (RGBColor(120, 70, 50), "6 2 2 2 2 2"),
];
/// Lines that are there to compare with.
const REFERENCE: (RGBColor, &str) = (RGBColor(150, 150, 150), "");
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(228, 228, 228);

/// The pixels of a panel, and of what is around its axes.
const WIDTH: u32 = 470;
const HEIGHT: u32 = 290;
const HEADING: u32 = 56;
const LEFT: i32 = 62;
const RIGHT: i32 = 158;
const TOP: i32 = 30;
const BOTTOM: i32 = 44;
/// Pixels of the PNG to a unit of the SVG.
const ZOOM: f32 = 1.5;

/// How many lines a panel can have beside those to compare with.
pub const LINES: usize = STYLES.len();

/// A chart: panels row by row.
pub struct Chart {
    pub title: String,
    pub subtitle: String,
    pub columns: usize,
    pub panels: Vec<Panel>,
}

/// Axes with lines, and a legend beside them.
pub struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    /// In grey, below the others.
    pub references: Vec<Line>,
    /// At most [`LINES`].
    pub lines: Vec<Line>,
}

/// A line through points, with a mark on each.
#[derive(Clone)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// How values are placed on an axis.
#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    Linear,
    Logarithmic,
}

/// An axis from the first tick or before to the last or beyond.
#[derive(Clone)]
pub struct Axis {
    pub label: String,
    pub scale: Scale,
    pub ends: (f64, f64),
    pub ticks: Vec<f64>,
}

impl Axis {
    /// A linear axis with about `count` ticks at round numbers.
    pub fn linear(label: &str, ends: (f64, f64), count: usize) -> Self {
        let rough = (ends.1 - ends.0) / count as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough).unwrap_or(rough);
        let (first, last) = ((ends.0 / step).ceil() as i64, (ends.1 / step).floor() as i64);
        let ticks = (first..=last).map(|i| i as f64 * step).collect();
        Self { label: label.to_owned(), scale: Scale::Linear, ends, ticks }
    }

    /// A logarithmic axis with a tick at each power of ten.
    pub fn decades(label: &str, ends: (f64, f64)) -> Self {
        let (first, last) = (ends.0.log10().ceil() as i32, ends.1.log10().floor() as i32);
        let ticks = (first..=last).map(|power| 10f64.powi(power)).collect();
        Self { label: label.to_owned(), scale: Scale::Logarithmic, ends, ticks }
    }

    /// A logarithmic axis with ticks of one's choice.
    pub fn ticks(label: &str, ends: (f64, f64), ticks: &[f64]) -> Self {
        Self { label: label.to_owned(), scale: Scale::Logarithmic, ends, ticks: ticks.to_vec() }
    }

    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.log10(),
        }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.place(self.ends.0)..self.place(self.ends.1)
    }

    /// Plain digits where they are few.
    fn name(&self, tick: f64) -> String {
        match tick.abs() {
            0.0 | 0.01..100_000.0 => format!("{}", (tick * 1e6).round() / 1e6),
            _ => format!("{tick:.0e}"),
        }
    }
}

impl Chart {
    /// Writes `<stem>.svg` and `<stem>.png`.
    pub fn save(&self, stem: &Path) -> Result<(), Box<dyn Error>> {
        let svg = self.svg()?;
        std::fs::write(stem.with_extension("svg"), &svg)?;
        std::fs::write(stem.with_extension("png"), png(&svg)?)?;
        Ok(())
    }

    /// The chart as SVG.
    pub fn svg(&self) -> Result<String, Box<dyn Error>> {
        let rows = self.panels.len().div_ceil(self.columns);
        let size = (WIDTH * self.columns as u32, HEADING + HEIGHT * rows as u32);
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            root.fill(&WHITE)?;
            let (heading, body) = root.split_vertically(HEADING);
            text(&heading, &self.title, (14, 12), 19, (HPos::Left, VPos::Top))?;
            text(&heading, &self.subtitle, (14, 38), 12, (HPos::Left, VPos::Top))?;
            for (panel, area) in self.panels.iter().zip(body.split_evenly((rows, self.columns))) {
                panel.draw(&area)?;
            }
            root.present()?;
        }
        Ok(dashed(svg))
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Axes<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), Box<dyn Error>>;

impl Panel {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let inner = area.margin(TOP, BOTTOM, LEFT, RIGHT);
        let mut axes = ChartBuilder::on(&inner).build_cartesian_2d(self.x.range(), self.y.range())?;
        text(area, &self.title, (LEFT, TOP - 8), 14, (HPos::Left, VPos::Bottom))?;
        self.draw_grid(area, &mut axes)?;
        let styles = self.references.iter().map(|line| (line, REFERENCE.0));
        let styles = styles.chain(self.lines.iter().zip(STYLES).map(|(line, (colour, _))| (line, colour)));
        for (i, (line, colour)) in styles.enumerate() {
            self.draw_line(&mut axes, line, colour)?;
            self.draw_entry(area, i as i32, &line.name, colour)?;
        }
        Ok(())
    }

    fn draw_grid(&self, area: &Area<'_>, axes: &mut Axes<'_, '_>) -> Drawn {
        let (x, y) = (self.x.range(), self.y.range());
        let origin = area.get_base_pixel();
        let pixel = |axes: &Axes<'_, '_>, at: (f64, f64)| {
            let (left, top) = axes.plotting_area().map_coordinate(&at);
            (left - origin.0, top - origin.1)
        };
        for tick in &self.x.ticks {
            let at = self.x.place(*tick);
            axes.draw_series([PathElement::new(vec![(at, y.start), (at, y.end)], GRID)])?;
            let (left, top) = pixel(axes, (at, y.start));
            text(area, &self.x.name(*tick), (left, top + 6), 11, (HPos::Center, VPos::Top))?;
        }
        for tick in &self.y.ticks {
            let at = self.y.place(*tick);
            axes.draw_series([PathElement::new(vec![(x.start, at), (x.end, at)], GRID)])?;
            let (left, top) = pixel(axes, (x.start, at));
            text(area, &self.y.name(*tick), (left - 6, top), 11, (HPos::Right, VPos::Center))?;
        }
        let frame = vec![(x.start, y.end), (x.start, y.start), (x.end, y.start)];
        axes.draw_series([PathElement::new(frame, INK)])?;
        let middle = (LEFT + area.dim_in_pixel().0 as i32 - RIGHT) / 2;
        let bottom = area.dim_in_pixel().1 as i32 - 6;
        text(area, &self.x.label, (middle, bottom), 11, (HPos::Center, VPos::Bottom))?;
        let style = TextStyle::from(("sans-serif", 11).into_font()).transform(FontTransform::Rotate270).color(&INK);
        let style = style.pos(Pos::new(HPos::Center, VPos::Top));
        let middle = (TOP + area.dim_in_pixel().1 as i32 - BOTTOM) / 2;
        area.draw(&Text::new(self.y.label.clone(), (8, middle), style))?;
        Ok(())
    }

    /// The line as far as it is within the axes.
    fn draw_line(&self, axes: &mut Axes<'_, '_>, line: &Line, colour: RGBColor) -> Drawn {
        let (x, y) = (self.x.range(), self.y.range());
        let inside = |at: &(f64, f64)| x.start <= at.0 && at.0 <= x.end && y.start <= at.1 && at.1 <= y.end;
        let places = line.points.iter().map(|(a, b)| (self.x.place(*a), self.y.place(*b)));
        let places: Vec<_> = places.filter(inside).collect();
        axes.draw_series(places.iter().map(|at| Circle::new(*at, 2, colour.filled())))?;
        axes.draw_series([PathElement::new(places, colour.stroke_width(2))])?;
        Ok(())
    }

    fn draw_entry(&self, area: &Area<'_>, i: i32, name: &str, colour: RGBColor) -> Drawn {
        let left = area.dim_in_pixel().0 as i32 - RIGHT + 10;
        let top = TOP + 10 + 18 * i;
        area.draw(&PathElement::new(vec![(left, top), (left + 26, top)], colour.stroke_width(2)))?;
        text(area, name, (left + 31, top), 11, (HPos::Left, VPos::Center))
    }
}

fn text(area: &Area<'_>, words: &str, at: (i32, i32), size: i32, (h, v): (HPos, VPos)) -> Drawn {
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&INK).pos(Pos::new(h, v));
    area.draw(&Text::new(words.to_owned(), at, style))?;
    Ok(())
}

/// Gives each line its dashes. The backend has none: it would cut a dashed line in a hundred elements.
fn dashed(svg: String) -> String {
    STYLES.iter().filter(|(_, dashes)| !dashes.is_empty()).fold(svg, |svg, (RGBColor(r, g, b), dashes)| {
        let plain = format!("<polyline fill=\"none\" opacity=\"1\" stroke=\"#{r:02X}{g:02X}{b:02X}\"");
        svg.replace(&plain, &format!("{plain} stroke-dasharray=\"{dashes}\""))
    })
}

/// The picture of an SVG.
pub fn png(svg: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let options = usvg::Options { fontdb: Arc::new(fonts), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options)?;
    let size = tree.size();
    let (width, height) = ((size.width() * ZOOM) as u32, (size.height() * ZOOM) as u32);
    let mut pixels = tiny_skia::Pixmap::new(width, height).ok_or("an empty chart")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(ZOOM, ZOOM), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}
