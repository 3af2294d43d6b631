//! What was measured, for people and for programs.

use std::path::Path;

use serde::Serialize;
use t2i_data::{Colour, Style};

/// How pictures were made.
#[derive(Serialize)]
pub(crate) struct Settings {
    pub(crate) model: String,
    pub(crate) steps: usize,
    pub(crate) guidance: f64,
    pub(crate) sampler: Option<String>,
    pub(crate) seed: u64,
}

/// Pictures of one kind: shares of them, and the distance of all.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) prompts: usize,
    /// Every object is right, in its place.
    pub(crate) objects: f64,
    pub(crate) style: f64,
    pub(crate) background: f64,
    pub(crate) frechet: f64,
}

#[derive(Serialize)]
pub(crate) struct Table {
    #[serde(flatten)]
    pub(crate) settings: Settings,
    /// How many concepts the judge tells apart.
    pub(crate) concepts: usize,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    pub(crate) fn head(&self) -> String {
        let Settings { model, steps, guidance, sampler, seed } = &self.settings;
        let sampler = sampler.as_deref().unwrap_or("the model's sampler");
        format!(
            "{model}: {steps} steps of {sampler}, guidance {guidance}, seed {seed}; {} concepts to be told apart\n\n\
             | prompts of | prompts | right object | right style | right background | Fréchet |\n\
             |---|---|---|---|---|---|",
            self.concepts
        )
    }

    /// Rows of what guessing would give.
    pub(crate) fn chance(&self) -> String {
        let guess = |of: usize, times: i32| percent((1.0 / of as f64).powi(times));
        let row = |name: &str, objects: i32| {
            let (object, style) = (guess(self.concepts, objects), guess(Style::ALL.len(), objects));
            format!("| {name}, by chance | | {object} | {style} | {} | |", guess(Colour::ALL.len(), 1))
        };
        [row("one object", 1), row("two objects", 2)].join("\n")
    }

    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), t2i::Error> {
        let text = serde_json::to_string_pretty(self).map_err(|e| t2i::Error::corrupt(path, e))?;
        std::fs::write(path, text + "\n").map_err(t2i::Error::io(path))
    }
}

impl Row {
    pub(crate) fn markdown(&self) -> String {
        let shares = [self.objects, self.style, self.background].map(percent).join(" | ");
        format!("| {} | {} | {shares} | {:.4} |", self.name, self.prompts, self.frechet)
    }
}

fn percent(share: f64) -> String {
    match share > 0.0 && share < 0.001 {
        true => format!("{:.4} %", 100.0 * share),
        false => format!("{:.1} %", 100.0 * share),
    }
}
