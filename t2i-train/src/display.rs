//! How a training is watched: a dashboard in a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stdout};
use std::sync::Arc;
use std::time::Instant;

use burn::train::Interrupter;
use burn::train::logger::TrainingProgressLogger;
use burn::train::metric::{MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry, SerializedEntry};
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use burn::train::renderer::{MetricState, MetricsRenderer, MetricsRendererTraining};

use crate::Report;

/// Steps between two lines.
const EVERY: u64 = 20;

/// Shows the steps of a training.
pub struct Display {
    shown: Shown,
    pictures: usize,
    steps: u64,
    start: Instant,
    seen: u64,
    /// The mean loss since the last line.
    loss: f64,
}

enum Shown {
    /// burn-train's dashboard, with the loss as a curve.
    Dashboard(Box<TuiMetricsRendererWrapper>, Interrupter),
    Lines(Box<dyn Write>),
}

impl Display {
    /// burn-train's dashboard if the program's output is a terminal, else lines to `lines`; for a training of `steps`
    /// steps of `pictures` pictures each, `made` of them made before.
    pub fn open(lines: impl Write + 'static, steps: u64, made: u64, pictures: usize) -> Self {
        match stdout().is_terminal() {
            true => Self::dashboard(steps, made, pictures),
            false => Self::new(Shown::Lines(Box::new(lines)), steps, pictures),
        }
    }

    /// Lines, whatever the program's output is.
    pub fn lines(lines: impl Write + 'static, steps: u64, pictures: usize) -> Self {
        Self::new(Shown::Lines(Box::new(lines)), steps, pictures)
    }

    fn dashboard(steps: u64, made: u64, pictures: usize) -> Self {
        let interrupter = Interrupter::new();
        let mut renderer = TuiMetricsRendererWrapper::new(interrupter.clone(), None);
        metrics(None).into_keys().for_each(|name| renderer.register_metric(definition(name)));
        renderer.start(1, 0, Some(steps as usize), Some("training"));
        renderer.start_split("train", steps as usize);
        renderer.update_split(made as usize);
        Self::new(Shown::Dashboard(Box::new(renderer), interrupter), steps, pictures)
    }

    fn new(shown: Shown, steps: u64, pictures: usize) -> Self {
        Self { shown, pictures, steps, start: Instant::now(), seen: 0, loss: 0.0 }
    }

    /// Shows a step.
    ///
    /// # Errors
    /// If a line cannot be written.
    pub fn see(&mut self, report: &Report) -> std::io::Result<()> {
        self.seen += 1;
        let speed = self.seen as f64 * self.pictures as f64 / self.start.elapsed().as_secs_f64();
        let since = (self.seen - 1) % EVERY + 1;
        self.loss += (report.loss - self.loss) / since as f64;
        match &mut self.shown {
            Shown::Dashboard(renderer, _) => {
                metrics(Some((report, speed)))
                    .into_iter()
                    .for_each(|(name, value)| renderer.update_train(state(name, value)));
                renderer.update_split(report.step as usize + 1);
                Ok(())
            }
            Shown::Lines(_) if since < EVERY && report.step + 1 < self.steps => Ok(()),
            Shown::Lines(lines) => {
                let (step, loss) = (report.step + 1, self.loss);
                let Report { gradient, learning_rate, .. } = report;
                let left = (self.steps - step) as f64 * self.pictures as f64 / speed / 60.0;
                writeln!(
                    lines,
                    "step {step:>6} of {}  loss {loss:.4}  gradient {gradient:.2}  rate {learning_rate:.1e}  \
                     {speed:.1} pictures/s  {left:.0} min left",
                    self.steps
                )
            }
        }
    }

    /// Whether the user asked the dashboard to stop.
    pub fn wants_to_stop(&self) -> bool {
        matches!(&self.shown, Shown::Dashboard(_, interrupter) if interrupter.should_stop())
    }
}

/// What the dashboard shows of a step.
fn metrics(of: Option<(&Report, f64)>) -> BTreeMap<&'static str, f64> {
    let (loss, gradient, rate, speed) =
        of.map_or((0.0, 0.0, 0.0, 0.0), |(report, speed)| (report.loss, report.gradient, report.learning_rate, speed));
    BTreeMap::from([("Loss", loss), ("Gradient", gradient), ("Learning rate", rate), ("Pictures a second", speed)])
}

fn definition(name: &'static str) -> MetricDefinition {
    let attributes = NumericAttributes { unit: None, higher_is_better: name == "Pictures a second" }.into();
    MetricDefinition { metric_id: id(name), name: Arc::new(name.to_owned()), description: None, attributes }
}

fn state(name: &'static str, value: f64) -> MetricState {
    let text = SerializedEntry { formatted: format!("{value:.4}"), serialized: value.to_string() };
    MetricState::Numeric(MetricEntry::new(id(name), text), Some(NumericEntry::Value(value)))
}

fn id(name: &'static str) -> MetricId {
    MetricId::new(Arc::new(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_have_the_mean_loss_and_the_last_step() {
        let page = Page::default();
        let mut display = Display::lines(page.clone(), 23, 4);
        for step in 0..23 {
            let report = Report { step, loss: step as f64, gradient: 1.0, learning_rate: 0.1 };
            display.see(&report).expect("written");
        }
        let text = String::from_utf8(page.0.lock().expect("one thread").clone()).expect("text");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("step     20 of 23") && lines[0].contains("loss 9.5000"), "{text}");
        assert!(lines[1].contains("step     23 of 23") && lines[1].contains("loss 21.0000"), "{text}");
    }
}
