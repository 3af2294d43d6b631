//! The results as text.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use t2i_sched::SpacingName;

use crate::measure::{POINTS, Subject};
use crate::{Results, Row, TABLED, TYPICAL, USUAL};

const BEGIN: &str = "<!-- accuracy: written by `cargo bench --bench accuracy` -->";
const END: &str = "<!-- /accuracy -->";
/// The calls at which all samplers are compared with all spacings.
const COMPARED: usize = 20;

/// Puts `text` between the markers of a page.
pub fn write(page: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let whole = std::fs::read_to_string(page)?;
    let (before, rest) = whole.split_once(BEGIN).ok_or("no place for the tables")?;
    let (_, after) = rest.split_once(END).ok_or("no end of the tables")?;
    std::fs::write(page, format!("{before}{BEGIN}\n{text}\n{END}{after}"))?;
    Ok(())
}

/// Two digits, plain where that is short.
fn short(error: Option<f64>) -> String {
    match error {
        None => "–".to_owned(),
        Some(error) if !error.is_finite() => "∞".to_owned(),
        Some(error) if error < 9.95e-4 => format!("{error:.1e}"),
        Some(error) => {
            let digits = 1 - error.log10().floor() as i32;
            format!("{error:.*}", digits.clamp(0, 4) as usize)
        }
    }
}

fn line(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

fn head(cells: &[String]) -> String {
    line(cells.to_vec()) + &format!("|---{}|\n", "|---:".repeat(cells.len() - 1))
}

/// What the page shows.
pub fn summary(results: &Results) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "Deterministic samplers, {USUAL} levels: root mean square distance from the exact end.\n");
    text += &samplers(results, false);
    let _ = writeln!(
        text,
        "\nStochastic samplers, {USUAL} levels: sliced Wasserstein distance from the exact distribution. {POINTS} exact \
         samples have {:.3}, so that less than about that is as good as exact.\n",
        results.floor
    );
    text += &samplers(results, true);
    for (subject, run) in &results.free {
        let (sampler, error) = (subject.sampler, short(Some(subject.error(run))));
        let _ = writeln!(text, "\n{sampler} chooses its own steps: {} calls of the model, error {error}.", run.calls);
    }
    let _ = writeln!(
        text,
        "\nSpacings, {COMPARED} calls of the model. The last column is the geometric mean, over all deterministic samplers without CFG++, of the error\nas a multiple of that with {USUAL}.\n"
    );
    text += &spacings(results);
    let _ = writeln!(text, "\n<details><summary>Every sampler with every spacing, {COMPARED} calls</summary>\n");
    text += &matrix(results, COMPARED);
    text + "\n</details>"
}

/// What the terminal shows.
pub fn everything(results: &Results) -> String {
    let mut text = summary(results);
    for calls in TABLED.into_iter().filter(|calls| *calls != COMPARED) {
        let _ = writeln!(text, "\nEvery sampler with every spacing, {calls} calls\n\n{}", matrix(results, calls));
    }
    text + &format!("\nThe exact ends are known to {:.0e}.", results.uncertainty)
}

fn samplers(results: &Results, draws: bool) -> String {
    let calls = TABLED.map(|calls| format!("{calls} calls"));
    let titles = ["sampler".to_owned()].into_iter().chain(calls);
    let titles: Vec<String> =
        titles.chain([format!("best spacing, {COMPARED} calls"), "its error".to_owned()]).collect();
    let mut rows: Vec<&Row> =
        results.rows.iter().filter(|row| row.spacing == USUAL && row.subject.draws == draws).collect();
    rows.sort_by(|a, b| order(a.error(COMPARED), b.error(COMPARED)));
    let lines = rows.into_iter().map(|row| {
        let errors = TABLED.map(|calls| short(row.error(calls)));
        let best = best(results, row.subject);
        let own = results.rows.iter().filter(|other| other.subject == row.subject).count() == 1;
        let name = match best {
            Some(row) if !own => row.spacing.to_string(),
            _ => "its own".to_owned(),
        };
        let cells = [row.subject.sampler.to_string()].into_iter().chain(errors);
        line(cells.chain([name, short(best.and_then(|row| row.error(COMPARED)))]))
    });
    head(&titles) + &lines.collect::<String>()
}

/// Missing ones last.
pub fn order(a: Option<f64>, b: Option<f64>) -> std::cmp::Ordering {
    a.unwrap_or(f64::INFINITY).total_cmp(&b.unwrap_or(f64::INFINITY))
}

fn best(results: &Results, subject: Subject) -> Option<&Row> {
    let rows = results.rows.iter().filter(|row| row.subject == subject);
    rows.min_by(|a, b| order(a.error(COMPARED), b.error(COMPARED)))
}

fn error(results: &Results, sampler: &str, spacing: SpacingName, calls: usize) -> Option<f64> {
    let found = results.rows.iter().find(|row| row.subject.sampler.as_str() == sampler && row.spacing == spacing);
    found?.error(calls)
}

fn spacings(results: &Results) -> String {
    let titles = ["spacing"].into_iter().chain(TYPICAL).chain(["all"]);
    let titles: Vec<String> = titles.map(str::to_owned).collect();
    let lines = SpacingName::all().map(|spacing| {
        let errors = TYPICAL.map(|sampler| short(error(results, sampler, spacing, COMPARED)));
        let all = format!("{:.2}", multiple(results, spacing));
        line([spacing.to_string()].into_iter().chain(errors).chain([all]))
    });
    head(&titles) + &lines.collect::<String>()
}

/// The geometric mean of errors as multiples of those of the usual spacing.
fn multiple(results: &Results, spacing: SpacingName) -> f64 {
    let plain = |row: &&Row| !row.subject.draws && !row.subject.sampler.as_str().contains("CFG++");
    let rows = results.rows.iter().filter(|row| row.spacing == spacing).filter(plain);
    let logs: Vec<f64> = rows
        .filter_map(|row| {
            let usual = error(results, row.subject.sampler.as_str(), USUAL, COMPARED)?;
            Some((row.error(COMPARED)? / usual).ln())
        })
        .collect();
    (logs.iter().sum::<f64>() / logs.len() as f64).exp()
}

fn matrix(results: &Results, calls: usize) -> String {
    let names = SpacingName::all().map(|spacing| spacing.to_string());
    let titles: Vec<String> = ["sampler".to_owned()].into_iter().chain(names).collect();
    let rows = results.rows.iter().filter(|row| row.spacing == USUAL);
    let lines = rows.map(|row| {
        let sampler = row.subject.sampler.as_str();
        let errors = SpacingName::all().map(|spacing| short(error(results, sampler, spacing, calls)));
        line([sampler.to_owned()].into_iter().chain(errors))
    });
    head(&titles) + &lines.collect::<String>()
}
