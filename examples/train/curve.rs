//! The losses of a training on disk, as numbers and as a picture.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use t2i_train::Report;

use crate::chart::{Axis, Chart, Line, Panel};

/// Steps whose losses are one row.
const EVERY: u64 = 20;
/// Rows whose mean is a point of the smooth line.
const SMOOTH: usize = 25;

/// Writes `losses.csv`, rows of a step and the mean loss of the last [`EVERY`], and draws `losses.svg` and `losses.png`.
pub(crate) struct Curve {
    path: PathBuf,
    mean: f64,
    count: u64,
}

impl Curve {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { path: folder.join("losses.csv"), mean: 0.0, count: 0 }
    }

    pub(crate) fn keep(&mut self, report: &Report) -> t2i::Result<()> {
        self.count += 1;
        self.mean += (report.loss - self.mean) / self.count as f64;
        if !(report.step + 1).is_multiple_of(EVERY) {
            return Ok(());
        }
        let file = fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))
            .and_then(|()| fs::File::options().create(true).append(true).open(&self.path));
        let row = file.and_then(|mut file| writeln!(file, "{},{:.6}", report.step + 1, self.mean));
        (self.mean, self.count) = (0.0, 0);
        row.map_err(t2i::Error::io(&self.path))
    }

    /// Draws what was kept so far, also before a training was stopped and resumed.
    pub(crate) fn draw(&self) -> t2i::Result<()> {
        let rows = self.rows()?;
        if rows.len() < 2 {
            return Ok(());
        }
        let smooth = rows.windows(SMOOTH.min(rows.len())).map(|window| {
            let mean = window.iter().map(|(_, loss)| loss).sum::<f64>() / window.len() as f64;
            (window[window.len() - 1].0, mean)
        });
        let losses = || rows.iter().map(|(_, loss)| *loss);
        let ends = (losses().fold(f64::INFINITY, f64::min), losses().fold(f64::MIN_POSITIVE, f64::max) * 1.02);
        let panel = Panel {
            title: "Loss".to_owned(),
            x: Axis::linear("step", (0.0, rows[rows.len() - 1].0), 5),
            y: Axis::linear("mean squared error", ends, 5),
            references: vec![Line { name: format!("of {EVERY} steps"), points: rows.clone() }],
            lines: vec![Line { name: format!("of {} steps", SMOOTH as u64 * EVERY), points: smooth.collect() }],
        };
        let subtitle = format!("until step {}", rows[rows.len() - 1].0);
        let chart = Chart { title: "Training".to_owned(), subtitle, columns: 1, panels: vec![panel] };
        chart.save(&self.path).map_err(|error| t2i::Error::corrupt(&self.path, error))
    }

    /// Of a step that was made twice, before and after it was resumed, the last.
    fn rows(&self) -> t2i::Result<Vec<(f64, f64)>> {
        let text = fs::read_to_string(&self.path).map_err(t2i::Error::io(&self.path))?;
        let row = |line: &str| {
            let (step, loss) = line.split_once(',')?;
            Some((step.parse::<u64>().ok()?, loss.parse::<f64>().ok()?))
        };
        let rows: BTreeMap<u64, f64> = text.lines().filter_map(row).collect();
        Ok(rows.into_iter().map(|(step, loss)| (step as f64, loss)).collect())
    }
}
