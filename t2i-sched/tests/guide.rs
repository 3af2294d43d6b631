//! `docs/samplers.md` tells of every name.

use t2i_sched::{SamplerName, SpacingName};

const GUIDE: &str = include_str!("../../docs/samplers.md");

/// The cells of the one row of a section's table that begins with a name.
fn row(section: &str, name: &str) -> Vec<&'static str> {
    let text = GUIDE.split("\n## ").find(|text| text.starts_with(section)).unwrap_or_default();
    let start = format!("| {name} |");
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with(&start)).collect();
    assert_eq!(rows.len(), 1, "docs/samplers.md, {section}: one line for {name}");
    rows[0].split('|').map(str::trim).collect()
}

#[test]
fn every_sampler_has_a_line() {
    for sampler in SamplerName::all() {
        let row = row("Samplers", sampler.as_str());
        assert_eq!(row.len(), 10, "{sampler}");
        let known = [format!("`{}`", sampler.comfyui()), format!("`{}`, k", sampler.comfyui()), "none".to_owned()];
        assert!(known.iter().any(|name| name == row[3]), "{sampler}: ComfyUI's name");
    }
}

#[test]
fn every_spacing_has_a_line() {
    for spacing in SpacingName::all() {
        assert_eq!(row("Spacings", &spacing.to_string()).len(), 6, "{spacing}");
    }
}
