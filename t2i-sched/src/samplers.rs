//! The samplers, one file each.

mod ancestral;
mod ddim;
mod ddpm;
mod dpm_solver;
mod euler;
mod euler_ancestral;
mod exponential;
mod heun;
mod ladder;
mod lcm;
mod limit;
mod pndm;
mod unipc;

pub use ddim::Ddim;
pub use ddpm::{Ddpm, Variance};
pub use dpm_solver::{DpmAlgorithm, DpmCorrection, DpmSolver};
pub use euler::Euler;
pub use euler_ancestral::EulerAncestral;
pub use heun::Heun;
pub use ladder::{Ladder, Landing};
pub use lcm::Lcm;
pub use limit::{Limit, Limited};
pub use pndm::Pndm;
pub use unipc::{UniPc, UniPcNorm};
