//! `EDMDPMSolverMultistepScheduler`.

use std::sync::Arc;

use serde_json::json;
use t2i_core::Result;

use super::super::class::{Class, Read, Scheduler};
use super::super::plans::{MOST_STEPS, at_most, edm};
use super::super::reader::{Edm, FinalSigma, Reader, Threshold};
use super::super::{Arguments, Learned};
use super::edm_euler::exponential;
use super::{limited, lower_orders};
use crate::samplers::{DpmAlgorithm, DpmCorrection, DpmSolver, Limit};
use crate::spacing::k_diffusion;
use crate::{BoxedSampler, Plan, SharedNoise};

pub(in crate::config) static CLASS: Class =
    Class { name: "EDMDPMSolverMultistepScheduler", read, curves: &[], spaced: false };

#[derive(Debug)]
struct EdmDpm {
    edm: Edm,
    limit: Option<Limit>,
    stochastic: bool,
    correction: DpmCorrection,
    order: usize,
    lower_order_final: bool,
    euler_at_final: bool,
}

fn read(reader: &mut Reader) -> Read {
    let edm = reader.edm()?;
    let algorithm = reader.one_of("algorithm_type", "dpmsolver++", &["dpmsolver++", "sde-dpmsolver++", "deis"])?;
    if algorithm == "deis" && edm.final_sigma == FinalSigma::Zero {
        let expected = "sigma_min for algorithm_type deis";
        return Err(reader.options.unsupported("final_sigmas_type", &json!("zero"), expected));
    }
    let stochastic = algorithm == "sde-dpmsolver++";
    let heun = reader.solver_type("midpoint", "heun", &["logrho", "bh1", "bh2"])?;
    let most = if stochastic { 2 } else { 3 }; // the class has no third order of the SDE
    let dpm = EdmDpm {
        limit: reader.limit(None, Threshold::Known)?,
        stochastic,
        correction: if heun { DpmCorrection::Heun } else { DpmCorrection::Midpoint },
        order: reader
            .checked("solver_order", 2, &format!("1 to {most} for {algorithm}"), |n| (1..=most).contains(n))?,
        lower_order_final: reader.flag("lower_order_final", true)?,
        euler_at_final: reader.flag("euler_at_final", false)?,
        edm,
    };
    Ok((Learned { schedule: dpm.edm.schedule(), prediction: dpm.edm.prediction }, Arc::new(dpm)))
}

impl Scheduler for EdmDpm {
    /// Its curve is in f32, and it ends at the config's own `sigma_min`.
    fn plan(&self, learned: &Learned, steps: usize, _: &Arguments) -> Result<Plan> {
        at_most(steps, MOST_STEPS, CLASS.name)?;
        let Edm { sigma_min, sigma_max, rho, final_sigma, .. } = self.edm;
        let sigmas = match rho {
            Some(rho) => k_diffusion::karras(sigma_min, sigma_max, rho, steps),
            None => exponential(sigma_min, sigma_max, steps),
        };
        let last = match final_sigma {
            FinalSigma::Zero => 0.0,
            FinalSigma::Min => sigma_min,
        };
        Ok(edm(learned, &self.edm, sigmas, last))
    }

    fn sampler(&self, _: &Learned, plan: &Plan, noise: SharedNoise, _: &Arguments) -> BoxedSampler<'static> {
        let algorithm = match self.stochastic {
            true => DpmAlgorithm::DataSde(noise.into()),
            false => DpmAlgorithm::Data,
        };
        let first_at_end = self.euler_at_final || self.edm.final_sigma == FinalSigma::Zero;
        let caps = lower_orders(plan, self.lower_order_final, first_at_end);
        limited(self.limit, DpmSolver::new(algorithm, self.correction, self.order).capped(caps))
    }
}
