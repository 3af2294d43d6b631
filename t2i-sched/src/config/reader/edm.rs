//! The levels and the preconditioning of EDM.

use serde_json::json;
use t2i_core::Result;

use super::{FinalSigma, Reader};
use crate::{Prediction, Schedule};

/// What a config says about the levels of EDM.
#[derive(Debug, Clone)]
pub(in crate::config) struct Edm {
    pub(in crate::config) sigma_min: f64,
    pub(in crate::config) sigma_max: f64,
    /// The root in which levels are evenly spaced; `None` for their logarithm.
    pub(in crate::config) rho: Option<f64>,
    pub(in crate::config) final_sigma: FinalSigma,
    pub(in crate::config) prediction: Prediction,
    train: usize,
}

impl Edm {
    pub(in crate::config) fn schedule(&self) -> Schedule {
        match self.rho {
            Some(rho) => Schedule::edm(self.sigma_min, self.sigma_max, rho, self.train),
            None => Schedule::edm_exponential(self.sigma_min, self.sigma_max, self.train),
        }
    }

    /// `init_noise_sigma`.
    pub(in crate::config) fn init_scale(&self) -> f64 {
        self.sigma_max.hypot(1.0)
    }
}

impl Reader {
    /// The options of diffusers' EDM classes.
    pub(in crate::config) fn edm(&mut self) -> Result<Edm> {
        let rho = self.checked("rho", 7.0, "not 0", |rho| *rho != 0.0)?;
        let curve = self.one_of("sigma_schedule", "karras", &["karras", "exponential"])?;
        let sigma_min = self.checked("sigma_min", 0.002, "above 0", |sigma| *sigma > 0.0)?;
        Ok(Edm {
            sigma_min,
            sigma_max: self.checked("sigma_max", 80.0, "above sigma_min", |sigma| *sigma > sigma_min)?,
            rho: (curve == "karras").then_some(rho),
            final_sigma: self.final_sigma()?,
            prediction: self.edm_prediction()?,
            train: self.train_timesteps()?,
        })
    }

    fn edm_prediction(&mut self) -> Result<Prediction> {
        let sigma_data = self.checked("sigma_data", 0.5, "above 0", |sigma| *sigma > 0.0)?;
        let name = self.name("prediction_type", "epsilon")?;
        match name.as_str() {
            "epsilon" => Ok(Prediction::Edm { sigma_data }),
            "v_prediction" => Ok(Prediction::EdmV { sigma_data }),
            _ => Err(self.options.unsupported("prediction_type", &json!(name), "epsilon or v_prediction")),
        }
    }
}
