//! How far the samplers end from the truth, over what they cost: every sampler with every spacing, on a distribution
//! whose denoiser, ODE and samples are known. `cargo bench --bench accuracy` prints all, draws the charts of
//! `docs/samplers/` and writes the tables of `docs/samplers.md`.
#![allow(clippy::print_stdout, missing_docs, unreachable_pub, reason = "a program that prints")]

#[path = "../examples/common/chart.rs"]
mod chart;
#[path = "accuracy/charts.rs"]
mod charts;
#[path = "accuracy/measure.rs"]
mod measure;
#[path = "accuracy/mixture.rs"]
mod mixture;
#[path = "accuracy/tables.rs"]
mod tables;

use std::error::Error;
use std::path::Path;

use measure::{Run, Subject, Truth};
use t2i_sched::SpacingName;

/// Calls of the model that the charts show.
pub const CALLS: [usize; 9] = [5, 7, 10, 14, 20, 28, 40, 56, 80];
/// And the tables.
pub const TABLED: [usize; 3] = [10, 20, 40];
/// The spacing of comparisons between samplers.
pub const USUAL: SpacingName = SpacingName::Karras;
/// The samplers of comparisons between spacings.
pub const TYPICAL: [&str; 6] = ["Euler", "Heun", "DPM++ 2M", "UniPC", "Euler a", "DPM++ 2M SDE"];

/// The runs of a sampler with a spacing: the largest for each number of calls, if there is one.
pub struct Row {
    pub subject: Subject,
    pub spacing: SpacingName,
    pub runs: Vec<(usize, Option<Run>)>,
}

impl Row {
    /// The error for about so many calls.
    pub fn error(&self, calls: usize) -> Option<f64> {
        let (_, run) = self.runs.iter().find(|(budget, _)| *budget == calls)?;
        run.as_ref().map(|run| self.subject.error(run))
    }
}

/// All that has been measured.
pub struct Results {
    pub floor: f64,
    pub uncertainty: f64,
    /// Each sampler with each spacing; once only if it visits levels of its own.
    pub rows: Vec<Row>,
    /// Samplers that decide for themselves how often they ask, and one run of each.
    pub free: Vec<(Subject, Run)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(()); // `cargo test --all-targets` runs it as well
    }
    let truth = Truth::new();
    let mut results = Results { floor: truth.floor(), uncertainty: truth.uncertainty(), rows: vec![], free: vec![] };
    for subject in Subject::all() {
        measure(&truth, subject, &mut results);
    }
    println!("{}", tables::everything(&results));
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs"));
    std::fs::create_dir_all(docs.join("samplers"))?;
    charts::samplers(&results).save(&docs.join("samplers/accuracy"))?;
    charts::spacings(&results).save(&docs.join("samplers/spacings"))?;
    tables::write(&docs.join("samplers.md"), &tables::summary(&results))
}

fn measure(truth: &Truth, subject: Subject, results: &mut Results) {
    if let Some(run) = truth.free(subject) {
        results.free.push((subject, run));
        return;
    }
    let own = truth.own_levels(subject.sampler);
    for spacing in SpacingName::all().filter(|spacing| !own || *spacing == USUAL) {
        let drawn = spacing == USUAL || TYPICAL.contains(&subject.sampler.as_str());
        let calls = CALLS.into_iter().filter(|calls| drawn || TABLED.contains(calls));
        let runs = calls.map(|calls| (calls, truth.within(subject, spacing, calls))).collect();
        results.rows.push(Row { subject, spacing, runs });
    }
}
