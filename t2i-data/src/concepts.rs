//! What the pictures show.

use std::collections::HashSet;

use t2i_core::{Error, Result};

/// A thing that every style draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concept {
    /// The code points of the emoji, in hexadecimal with dashes, as packages name it.
    pub code: String,
    /// Its name in captions.
    pub name: String,
    /// Whether a model is taught it only after training.
    pub held_out: bool,
}

/// Every concept, in the order of `concepts.txt`.
///
/// # Errors
/// Names the line that is none.
pub fn concepts() -> Result<Vec<Concept>> {
    parse(include_str!("concepts.txt"))
}

fn parse(text: &str) -> Result<Vec<Concept>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let concepts = lines.map(|(i, line)| concept(line).ok_or_else(|| bad_line(i + 1, line)));
    let concepts = concepts.collect::<Result<Vec<_>>>()?;
    let mut names = HashSet::new();
    match concepts.iter().find(|concept| !names.insert(concept.name.as_str())) {
        Some(concept) => Err(Error::corrupt("concepts.txt", format!("`{}` stands twice", concept.name))),
        None => Ok(concepts),
    }
}

fn concept(line: &str) -> Option<Concept> {
    let mut fields = line.split("  ").map(str::trim);
    let (code, name, mark) = (fields.next()?, fields.next()?, fields.next());
    let held_out = match mark {
        None => false,
        Some("held-out") => true,
        Some(_) => return None,
    };
    Some(Concept { code: code.to_owned(), name: name.to_owned(), held_out })
}

fn bad_line(number: usize, line: &str) -> Error {
    Error::corrupt(
        "concepts.txt",
        format!("line {number}, `{line}`: expected a code point, a name, and `held-out` or nothing"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_and_thirty_are_held_out() {
        let concepts = concepts().expect("the file is right");
        assert!(concepts.iter().filter(|concept| !concept.held_out).count() >= 300);
        assert_eq!(concepts.iter().filter(|concept| concept.held_out).count(), 30);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, culprit) in [("1f34e  apple\n1f34f", "line 2"), ("1  a  often", "line 1"), ("1  a\n2  a", "`a`")] {
            let error = parse(text).expect_err("a wrong line").to_string();
            assert!(error.contains(culprit), "{error}");
        }
    }
}
