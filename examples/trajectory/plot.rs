//! A run as a chart.

use std::path::Path;

use burn::tensor::DType;
use t2i::{Error, Result};

use crate::chart::{Axis, Chart, LINES, Line, Panel, png};
use crate::course::Trace;

/// Draws the first values of the latent and the noise that is left, step by step; for a latent of two channels also its
/// way in their plane. The latent is divided by `sqrt(alpha^2 + sigma^2)`, so that its size stays the same.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn plot(path: &Path, trace: &Trace) -> Result<()> {
    let values = values(trace);
    let [_, channels, height, width] = trace.states[0].dims();
    let mut panels = vec![by_step(&values), noise(trace)];
    if channels == 2 {
        panels.push(plane(&values, height * width));
    }
    let steps = trace.states.len() - 1;
    let subtitle =
        format!("{steps} steps from sigma {:.4} to {:.4}", trace.sigmas[0], trace.sigmas[trace.sigmas.len() - 1]);
    let chart = Chart { title: "One run".to_owned(), subtitle, columns: 2, panels };
    let wrong = |e: Box<dyn std::error::Error>| Error::corrupt(path, e);
    let svg = chart.svg().map_err(wrong)?;
    let bytes = match path.extension().is_some_and(|extension| extension == "svg") {
        true => svg.into_bytes(),
        false => png(&svg).map_err(wrong)?,
    };
    std::fs::write(path, bytes).map_err(Error::io(path))
}

/// The first image at each level, at unit size.
fn values(trace: &Trace) -> Vec<Vec<f64>> {
    let skipped = trace.levels.len() - trace.states.len(); // of a run that was resumed, or stopped early
    let levels = trace.levels.iter().skip(skipped);
    let unit = |(x, norm): (&burn::tensor::Tensor<4>, f64)| {
        let first = x.clone().narrow(0, 0, 1).div_scalar(norm).into_data();
        first.try_cast(DType::F64).and_then(|data| data.try_into_vec()).unwrap_or_default()
    };
    trace.states.iter().zip(levels.map(|level| level.norm())).map(unit).collect()
}

fn by_step(values: &[Vec<f64>]) -> Panel {
    let line = |i: usize| Line {
        name: format!("value {i}"),
        points: values.iter().enumerate().map(|(step, x)| (step as f64, x[i])).collect(),
    };
    let lines: Vec<Line> = (0..values[0].len().min(LINES)).map(line).collect();
    panel("The latent, at unit size", steps_axis(values.len()), "value", lines)
}

fn plane(values: &[Vec<f64>], pixels: usize) -> Panel {
    let line =
        |i: usize| Line { name: format!("pixel {i}"), points: values.iter().map(|x| (x[i], x[pixels + i])).collect() };
    let lines: Vec<Line> = (0..pixels.min(LINES)).map(line).collect();
    let x = lines.iter().flat_map(|line| &line.points).map(|(x, _)| *x);
    panel("Its way in the plane", Axis::linear("channel 0", around(x), 5), "channel 1", lines)
}

fn noise(trace: &Trace) -> Panel {
    let above = trace.sigmas.iter().enumerate().filter(|(_, sigma)| **sigma > 0.0 && sigma.is_finite());
    let points: Vec<(f64, f64)> = above.map(|(step, sigma)| (step as f64, *sigma)).collect();
    let sigmas = || points.iter().map(|(_, sigma)| *sigma);
    let ends = (sigmas().fold(f64::INFINITY, f64::min) / 2.0, sigmas().fold(f64::MIN_POSITIVE, f64::max) * 2.0);
    Panel {
        title: "The noise that is left, until none is".to_owned(),
        x: steps_axis(trace.sigmas.len()),
        y: Axis::decades("sigma / alpha", ends),
        references: Vec::new(),
        lines: vec![Line { name: "sigma".to_owned(), points }],
    }
}

fn panel(title: &str, x: Axis, label: &str, lines: Vec<Line>) -> Panel {
    let y = lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y);
    let y = Axis::linear(label, around(y), 5);
    Panel { title: title.to_owned(), x, y, references: Vec::new(), lines }
}

fn steps_axis(states: usize) -> Axis {
    Axis::linear("steps", (0.0, (states - 1).max(1) as f64), 6)
}

/// The ends of some values, and a little more.
fn around(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (low, high) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max));
    let margin = (0.05 * (high - low)).max(1e-3);
    (low - margin, high + margin)
}
