//! The levels of flow matching.

use serde_json::json;
use t2i_core::{Error, Result};

use super::{Reader, VisitOptions, Visits};
use crate::Schedule;
use crate::spacing::flow::Shift;

/// What a config says about flow matching.
#[derive(Debug, Clone)]
pub(in crate::config) struct Flow {
    /// `num_train_timesteps`.
    pub(in crate::config) train: usize,
    /// The shift of pictures of every size.
    pub(in crate::config) fixed: f64,
    /// The kind of the shift by the size of the picture, if it is asked for (`use_dynamic_shifting`).
    pub(in crate::config) dynamic: Option<fn(f64) -> Shift>,
    /// Where the last step starts (`shift_terminal`).
    pub(in crate::config) terminal: Option<f64>,
    /// The curve that is laid between the ends.
    pub(in crate::config) visits: Visits,
}

impl Flow {
    /// The shift of a run: by `mu`, which must be there, where the config asks for it.
    pub(in crate::config) fn shift(&self, mu: Option<f64>) -> Result<Shift> {
        match (self.dynamic, mu) {
            (None, _) => Ok(Shift::Fixed(self.fixed)),
            (Some(shift), Some(mu)) if mu.is_finite() => Ok(shift(mu)),
            (Some(_), mu) => Err(Error::InvalidValue {
                field: "mu",
                value: mu.map_or("missing".to_owned(), |mu| mu.to_string()),
                expected: "a number (SchedulerConfig::with_mu), because use_dynamic_shifting is true".to_owned(),
            }),
        }
    }

    /// The levels that the model learned, as far as they are known without a picture.
    pub(in crate::config) fn schedule(&self) -> Schedule {
        let shift = if self.dynamic.is_some() { Shift::NONE } else { Shift::Fixed(self.fixed) };
        Schedule::flow(self.train, shift)
    }
}

impl Reader {
    /// The options of diffusers' flow classes with all there is. The rules for `mu` are for pipelines, which find it.
    pub(in crate::config) fn flow(&mut self, curves: &VisitOptions) -> Result<Flow> {
        self.options.ignore(&["base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len"]);
        let linear = self.one_of("time_shift_type", "exponential", &["exponential", "linear"])? == "linear";
        let kind: fn(f64) -> Shift = if linear { Shift::Linear } else { Shift::Exponential };
        Ok(Flow {
            dynamic: self.flag("use_dynamic_shifting", false)?.then_some(kind),
            terminal: self.terminal()?,
            visits: self.curves(curves)?,
            ..self.plain_flow()?
        })
    }

    /// The options of a flow class that has a fixed shift only.
    pub(in crate::config) fn plain_flow(&mut self) -> Result<Flow> {
        Ok(Flow {
            train: self.train_timesteps()?,
            fixed: self.checked("shift", 1.0, "above 0", |shift| *shift > 0.0)?,
            dynamic: None,
            terminal: None,
            visits: self.curves(&VisitOptions::TIMESTEPS)?,
        })
    }

    /// `shift_terminal`, where 0 is none.
    pub(in crate::config) fn terminal(&mut self) -> Result<Option<f64>> {
        let terminal: Option<f64> = self.options.get("shift_terminal", None)?;
        match terminal {
            Some(terminal) if !(0.0..=1.0).contains(&terminal) => {
                Err(self.options.unsupported("shift_terminal", &json!(terminal), "null or in [0, 1]"))
            }
            terminal => Ok(terminal.filter(|terminal| *terminal != 0.0)),
        }
    }
}
