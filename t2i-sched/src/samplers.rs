//! The samplers, one file each.

mod ancestral;
mod churn;
mod ddim;
mod ddpm;
mod dpm2;
mod dpm2_ancestral;
mod dpm_solver;
mod euler;
mod euler_ancestral;
mod exponential;
mod fresh;
mod heun;
mod ladder;
mod lcm;
mod limit;
mod lms;
mod pndm;
mod unipc;

pub use churn::{Churn, Churned};
pub use ddim::Ddim;
pub use ddpm::{Ddpm, Variance};
pub use dpm_solver::{DpmAlgorithm, DpmCorrection, DpmSolver};
pub use dpm2::Dpm2;
pub use dpm2_ancestral::Dpm2Ancestral;
pub use euler::Euler;
pub use euler_ancestral::EulerAncestral;
pub use fresh::Fresh;
pub use heun::Heun;
pub use ladder::{Ladder, Landing};
pub use lcm::Lcm;
pub use limit::{Limit, Limited};
pub use lms::Lms;
pub use pndm::Pndm;
pub use unipc::{UniPc, UniPcNorm};
