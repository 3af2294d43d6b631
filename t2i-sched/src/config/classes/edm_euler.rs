//! `EDMEulerScheduler`.

use std::sync::Arc;

use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{MOST_STEPS, at_most, edm};
use super::super::reader::{Edm, FinalSigma, Reader};
use super::super::{Arguments, Learned};
use crate::samplers::Euler;
use crate::spacing::{k_diffusion, ramp};
use crate::{BoxedSampler, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class = Class { name: "EDMEulerScheduler", read, curves: &[], spaced: false };

#[derive(Debug)]
struct EdmEuler {
    edm: Edm,
}

fn read(reader: &mut Reader) -> Read {
    let edm = reader.edm()?;
    Ok((Learned { schedule: edm.schedule(), prediction: edm.prediction }, Arc::new(EdmEuler { edm })))
}

impl Scheduler for EdmEuler {
    /// Its own curve is in f64, and it ends at the last sigma that is visited.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        let Edm { sigma_min, sigma_max, rho, final_sigma, .. } = self.edm;
        let sigmas = match rho {
            Some(rho) => karras(sigma_min, sigma_max, rho, steps),
            None => exponential(sigma_min, sigma_max, steps),
        };
        let last = match final_sigma {
            FinalSigma::Zero => 0.0,
            FinalSigma::Min => sigmas[steps - 1],
        };
        Ok(edm(learned, &self.edm, sigmas, last))
    }

    fn sampler(&self, _: &Learned, _: &Plan, _: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        Box::new(Euler)
    }
}

/// `n` sigmas with evenly spaced `rho`-th roots, in f64.
fn karras(sigma_min: f64, sigma_max: f64, rho: f64, n: usize) -> Vec<f64> {
    let (low, high) = (sigma_min.powf(1.0 / rho), sigma_max.powf(1.0 / rho));
    ramp(0.0, 1.0, n).iter().map(|r| (high + r * (low - high)).powf(rho)).collect()
}

/// diffusers lays this curve from below, so that a single step is at the cleanest level.
pub(super) fn exponential(sigma_min: f64, sigma_max: f64, n: usize) -> Vec<f64> {
    let mut sigmas = k_diffusion::exponential(sigma_max, sigma_min, n);
    sigmas.reverse();
    sigmas
}
