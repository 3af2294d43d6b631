//! Names that look like another name, for error messages.

/// The up to three names among `known` that are most like `name`, best first.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let mut ranked: Vec<_> = known.into_iter().map(|k| (likeness(k), k)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(3).map(|(_, k)| k.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_name_comes_first() {
        assert_eq!(nearest("eulr", ["heun", "euler", "ddim"])[0], "euler");
    }
}
