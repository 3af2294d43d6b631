//! The results as pictures: one kind of sampler a panel, best first.

use crate::chart::{Axis, Chart, LINES, Line, Panel};
use crate::measure::POINTS;
use crate::tables::order;
use crate::{CALLS, Results, Row, USUAL};

const TICKS: [f64; 5] = [5.0, 10.0, 20.0, 40.0, 80.0];
/// Where the samplers of a panel are put in order.
const ORDERED: usize = 20;

/// Samplers with the usual spacing.
pub fn samplers(results: &Results) -> Chart {
    let hidden = |row: &Row| row.subject.sampler.as_str().contains("CFG++") || row.subject.sampler.as_str() == "Euler";
    let plain = |row: &&Row| row.spacing == USUAL && !hidden(row);
    let kind = |draws: bool, often: bool| {
        let rows = results.rows.iter().filter(plain);
        let rows = rows.filter(|row| row.subject.draws == draws && (row.subject.calls > 1) == often);
        rows.map(|row| (row.subject.sampler.to_string(), row)).collect::<Vec<_>>()
    };
    let kinds = [
        ("Deterministic, one call a step", false, false),
        ("Deterministic, several calls a step", false, true),
        ("Stochastic, one call a step", true, false),
        ("Stochastic, several calls a step", true, true),
    ];
    let panels = kinds.into_iter().flat_map(|(title, draws, often)| panels(results, title, kind(draws, often), draws));
    Chart {
        title: format!("Error over cost, {USUAL} levels"),
        subtitle: format!(
            "Exact denoiser of a mixture of Gaussians in the plane, {POINTS} points. Deterministic: distance from the \
             exact end. Stochastic: distance of distributions."
        ),
        columns: 2,
        panels: panels.collect(),
    }
}

/// Spacings of a deterministic and a stochastic sampler.
pub fn spacings(results: &Results) -> Chart {
    let of = |sampler: &str| {
        let rows = results.rows.iter().filter(|row| row.subject.sampler.as_str() == sampler);
        rows.map(|row| (row.spacing.to_string(), row)).collect::<Vec<_>>()
    };
    let kinds = [("DPM++ 2M", false), ("DPM++ 2M SDE", true)];
    Chart {
        title: "Error over cost by spacing".to_owned(),
        subtitle: format!("Exact denoiser of a mixture of Gaussians in the plane, {POINTS} points."),
        columns: 2,
        panels: kinds.into_iter().flat_map(|(title, draws)| panels(results, title, of(title), draws)).collect(),
    }
}

/// As many panels as the lines need, all with the same axes and the same lines to compare with.
fn panels(results: &Results, title: &str, mut rows: Vec<(String, &Row)>, draws: bool) -> Vec<Panel> {
    rows.sort_by(|(_, a), (_, b)| order(a.error(ORDERED), b.error(ORDERED)));
    let lines: Vec<Line> = rows.iter().map(|(name, row)| drawn(name, row)).collect();
    let reference = match draws {
        true => Line { name: "exact samples".to_owned(), points: ends().map(|x| (x, results.floor)).to_vec() },
        false => {
            // It is in each panel, and not in one of its own.
            let euler = results.rows.iter().find(|row| row.subject.sampler.as_str() == "Euler" && row.spacing == USUAL);
            let points = euler.map_or(Vec::new(), |row| drawn("", row).points);
            Line { name: format!("Euler {USUAL}"), points }
        }
    };
    let count = lines.len().div_ceil(LINES).max(1);
    let parts = lines.chunks(lines.len().div_ceil(count).max(1)).enumerate();
    let titled = |i: usize| if count == 1 { title.to_owned() } else { format!("{title} ({} of {count})", i + 1) };
    parts
        .map(|(i, lines)| Panel {
            title: titled(i),
            x: Axis::ticks("calls of the model", (ends()[0] * 0.9, ends()[1] * 1.1), &TICKS),
            y: Axis::decades("error", if draws { (0.01, 2.0) } else { (1e-4, 2.0) }),
            references: vec![reference.clone()],
            lines: lines.to_vec(),
        })
        .collect()
}

fn ends() -> [f64; 2] {
    [CALLS[0] as f64, CALLS[CALLS.len() - 1] as f64]
}

/// The errors over the calls that there really were.
fn drawn(name: &str, row: &Row) -> Line {
    let runs = row.runs.iter().filter_map(|(_, run)| run.as_ref());
    let mut points: Vec<_> = runs.map(|run| (run.calls as f64, row.subject.error(run))).collect();
    points.dedup_by_key(|(calls, _)| *calls);
    Line { name: name.to_owned(), points }
}
