//! A `config.json` whose every option is accounted for.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Result, nearest};

/// The options of one config file. Each is asked for by name; [`finish`](Options::finish) fails if one is left,
/// so that no option is accepted and ignored.
///
/// ```
/// # use t2i_core::Options;
/// let json = serde_json::json!({ "_class_name": "UNet2DConditionModel", "sample_size": 64 });
/// let mut options = Options::from_json("unet/config.json", json)?;
/// assert_eq!(options.get("sample_size", 32)?, 64);
/// assert_eq!(options.get("in_channels", 4)?, 4);
/// options.finish()?;
/// # Ok::<(), t2i_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    origin: String,
    left: BTreeMap<String, Value>,
    asked: Vec<String>,
}

impl Options {
    /// Reads a JSON file. Python's bare `Infinity`, `-Infinity` and `NaN`, which JSON does not have, become strings.
    ///
    /// # Errors
    /// If the file cannot be read or is not a JSON object.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let json = serde_json::from_str(&text).or_else(|_| serde_json::from_str(&quote_non_finite(&text)));
        let json = json.map_err(|e| Error::corrupt(path, e))?;
        Self::from_json(path.display().to_string(), json)
    }

    /// Takes a JSON object that came from `origin`.
    ///
    /// # Errors
    /// If the value is not an object.
    pub fn from_json(origin: impl Into<String>, json: Value) -> Result<Self> {
        let origin = origin.into();
        match json {
            Value::Object(fields) => Ok(Self { origin, left: fields.into_iter().collect(), asked: Vec::new() }),
            other => Err(Error::corrupt(origin, format!("{other} is not a JSON object"))),
        }
    }

    /// The file that the options came from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Looks at an option without accounting for it.
    pub fn peek(&self, option: &str) -> Option<&Value> {
        self.left.get(option)
    }

    /// The option's value, or `default` where the file does not have it.
    ///
    /// `null` is a value: ask for an `Option<T>` where the file may say it.
    ///
    /// # Errors
    /// If the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&mut self, option: &str, default: T) -> Result<T> {
        self.asked.push(option.to_owned());
        match self.left.remove(option) {
            None => Ok(default),
            Some(value) => {
                serde_json::from_value(value.clone()).map_err(|e| self.unsupported(option, &value, &e.to_string()))
            }
        }
    }

    /// The option's value, which the file must have.
    ///
    /// # Errors
    /// If it is absent or not a `T`.
    pub fn require<T: DeserializeOwned>(&mut self, option: &str) -> Result<T> {
        if !self.left.contains_key(option) {
            let what = format!("option `{option}`");
            return Err(Error::MissingPart { path: self.origin.clone().into(), what });
        }
        let value = self.left[option].clone();
        self.asked.push(option.to_owned());
        self.left.remove(option);
        serde_json::from_value(value.clone()).map_err(|e| self.unsupported(option, &value, &e.to_string()))
    }

    /// Accounts for an option that is supported with some values only. Absence is fine.
    ///
    /// # Errors
    /// If the value is not among `supported`.
    pub fn only(&mut self, option: &str, supported: &[Value]) -> Result<()> {
        self.asked.push(option.to_owned());
        match self.left.remove(option) {
            Some(value) if !supported.contains(&value) => {
                let values: Vec<_> = supported.iter().map(Value::to_string).collect();
                Err(self.unsupported(option, &value, &values.join(" or ")))
            }
            _ => Ok(()),
        }
    }

    /// Accounts for options that change nothing about the numbers.
    pub fn ignore(&mut self, options: &[&str]) {
        for option in options {
            self.asked.push((*option).to_owned());
            self.left.remove(*option);
        }
    }

    /// The error for an option with a value that is not supported.
    pub fn unsupported(&self, option: &str, value: &Value, supported: &str) -> Error {
        Error::UnsupportedOption {
            origin: self.origin.clone(),
            option: option.to_owned(),
            value: value.to_string(),
            supported: supported.to_owned(),
        }
    }

    /// Checks that every option was asked for. Names that start with `_` are notes, not options.
    ///
    /// # Errors
    /// If one was not: it is unknown.
    pub fn finish(self) -> Result<()> {
        match self.left.keys().find(|option| !option.starts_with('_')) {
            None => Ok(()),
            Some(option) => Err(Error::UnknownOption {
                nearest: nearest(option, self.asked.iter().map(String::as_str)),
                option: option.clone(),
                origin: self.origin,
            }),
        }
    }
}

/// Puts quotes around the numbers that Python writes and JSON does not have. Every second piece between quotation
/// marks is inside of a string, and stays.
fn quote_non_finite(text: &str) -> String {
    let escaped = text.replace("\\\"", "\0");
    let pieces = escaped.split('"').enumerate().map(|(i, piece)| match i % 2 {
        0 => quote_words(piece),
        _ => piece.to_owned(),
    });
    pieces.collect::<Vec<_>>().join("\"").replace('\0', "\\\"")
}

fn quote_words(piece: &str) -> String {
    let infinity = piece.replace("-Infinity", "\"-inf\"").replace("Infinity", "\"inf\"");
    infinity.replace("NaN", "\"nan\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options(json: Value) -> Options {
        Options::from_json("test.json", json).expect("an object")
    }

    #[test]
    fn an_unknown_option_is_named_with_its_neighbours() {
        let mut o = options(json!({ "sampel_size": 64 }));
        o.get("sample_size", 32).expect("absent is fine");
        let message = o.finish().expect_err("a typo").to_string();
        assert!(message.contains("sampel_size") && message.contains("sample_size"), "{message}");
    }

    #[test]
    fn an_unsupported_value_is_named_with_what_would_be_right() {
        let mut o = options(json!({ "act_fn": "mish" }));
        let message = o.only("act_fn", &[json!("silu"), json!("swish")]).expect_err("mish").to_string();
        assert!(message.contains("mish") && message.contains("silu"), "{message}");
    }

    #[test]
    fn python_numbers_that_json_lacks_become_strings() {
        let text = r#"{"a": -Infinity, "b \"NaN": NaN, "Infinity": [Infinity, "-Infinity"]}"#;
        let json: Value = serde_json::from_str(&quote_non_finite(text)).expect("JSON");
        assert_eq!(json, json!({ "a": "-inf", "b \"NaN": "nan", "Infinity": ["inf", "-Infinity"] }));
    }

    #[test]
    fn null_is_a_value() {
        let mut o = options(json!({ "mid_block_type": null }));
        assert_eq!(o.get("mid_block_type", Some("default".to_owned())).expect("null"), None);
    }
}
