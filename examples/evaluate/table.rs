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
    pub(crate) fn markdown(&self) -> String {
        let head = "| prompts of | prompts | right object | right style | right background | Fréchet |\n\
                    |---|---|---|---|---|---|\n";
        let rows = self.rows.iter().map(|row| {
            let shares = [row.objects, row.style, row.background].map(percent);
            format!("| {} | {} | {} | {:.4} |\n", row.name, row.prompts, shares.join(" | "), row.frechet)
        });
        format!("{head}{}{}{}", rows.collect::<String>(), self.chance("one object", 1), self.chance("two objects", 2))
    }

    /// What guessing would give.
    fn chance(&self, name: &str, objects: i32) -> String {
        let guess = |of: usize| 1.0 / of as f64;
        let object = percent(guess(self.concepts).powi(objects));
        let style = percent(guess(Style::ALL.len()).powi(objects));
        format!("| {name}, by chance | | {object} | {style} | {} | |\n", percent(guess(Colour::ALL.len())))
    }

    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), t2i::Error> {
        let text = serde_json::to_string_pretty(self).map_err(|e| t2i::Error::corrupt(path, e))?;
        std::fs::write(path, text + "\n").map_err(t2i::Error::io(path))
    }
}

fn percent(share: f64) -> String {
    match share > 0.0 && share < 0.001 {
        true => format!("{:.4} %", 100.0 * share),
        false => format!("{:.1} %", 100.0 * share),
    }
}
