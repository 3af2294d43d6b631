//! What a checkpoint is, without loading it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Checkpoint, Error, Family, Part, Result};

/// What [`inspect`] found out. `Display` makes a table of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The folder or file.
    pub path: PathBuf,
    /// Which models it is one of.
    pub family: Family,
    /// Whether the UNet takes a mask and a masked picture beside the latent.
    pub inpainting: bool,
    /// Diffusers' class for it.
    pub pipeline_class: String,
    /// What the UNet predicts, where the checkpoint has a scheduler's config.
    pub prediction_type: Option<String>,
    /// The parts that are there.
    pub parts: Vec<PartReport>,
    /// What a complete checkpoint would have besides.
    pub missing: Vec<String>,
}

/// One part of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct PartReport {
    /// Which one.
    pub part: Part,
    /// The number of its parameters; 0 for a part without weights.
    pub parameters: usize,
    /// The types of its tensors, such as `f16`.
    pub dtypes: Vec<&'static str>,
}

/// Reads the configs and headers of a checkpoint.
///
/// # Errors
/// If the path is no checkpoint, cannot be read, or is corrupt. Missing parts are no error but part of the report.
pub fn inspect(path: impl AsRef<Path>) -> Result<Report> {
    let checkpoint = Checkpoint::open(path)?;
    let (mut parts, mut missing) = (Vec::new(), Vec::new());
    for part in Part::ALL {
        match part_report(&checkpoint, part) {
            Ok(report) => parts.push(report),
            Err(Error::MissingPart { what, .. }) if is_needed(&checkpoint, part) => missing.push(what),
            Err(Error::MissingPart { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(Report {
        path: checkpoint.path().to_owned(),
        family: checkpoint.family(),
        inpainting: checkpoint.is_inpainting(),
        pipeline_class: checkpoint.pipeline_class().to_owned(),
        prediction_type: checkpoint.prediction_type().ok(),
        parts,
        missing,
    })
}

fn is_needed(checkpoint: &Checkpoint, part: Part) -> bool {
    checkpoint.has(part) || checkpoint.family().parts().contains(&part)
}

fn part_report(checkpoint: &Checkpoint, part: Part) -> Result<PartReport> {
    if !checkpoint.has(part) {
        let what = format!("the part `{part}`");
        return Err(Error::MissingPart { path: checkpoint.path().to_owned(), what });
    }
    checkpoint.options(part)?;
    if !part.has_weights() {
        return Ok(PartReport { part, parameters: 0, dtypes: Vec::new() });
    }
    let weights = checkpoint.weights(part)?;
    let dtypes: BTreeSet<_> = weights.names().filter_map(|name| weights.dtype(name)).map(|d| d.name()).collect();
    Ok(PartReport { part, parameters: weights.parameters(), dtypes: dtypes.into_iter().collect() })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = if self.inpainting { ", inpainting" } else { "" };
        writeln!(f, "{}", self.path.display())?;
        writeln!(f, "  family      {}{task}", self.family)?;
        writeln!(f, "  pipeline    {}", self.pipeline_class)?;
        writeln!(f, "  prediction  {}", self.prediction_type.as_deref().unwrap_or("unknown"))?;
        for PartReport { part, parameters, dtypes } in self.parts.iter().filter(|part| part.part.has_weights()) {
            writeln!(f, "  {part:<16}{:>15} parameters, {}", thousands(*parameters), dtypes.join(" and "))?;
        }
        for PartReport { part, .. } in self.parts.iter().filter(|part| !part.part.has_weights()) {
            writeln!(f, "  {part:<16}config")?;
        }
        match self.missing.is_empty() {
            true => write!(f, "  nothing is missing"),
            false => write!(f, "  missing     {}", self.missing.join(", ")),
        }
    }
}

/// 1234567 as `1 234 567`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_groups_of_three() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(859_520_964), "859 520 964");
        assert_eq!(thousands(1_000), "1 000");
    }

    #[test]
    fn the_table_says_all() {
        let report = Report {
            path: "model".into(),
            family: Family::Sd2,
            inpainting: true,
            pipeline_class: "StableDiffusionInpaintPipeline".to_owned(),
            prediction_type: Some("epsilon".to_owned()),
            parts: vec![PartReport { part: Part::Unet, parameters: 865_910_724, dtypes: vec!["f16"] }],
            missing: vec!["the part `vae`".to_owned()],
        };
        let table = report.to_string();
        for word in ["Stable Diffusion 2, inpainting", "epsilon", "865 910 724", "f16", "missing     the part `vae`"] {
            assert!(table.contains(word), "{table}");
        }
    }
}
