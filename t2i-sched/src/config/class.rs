//! The classes of diffusers: one file each, one line each here.

use std::fmt::Debug;
use std::sync::Arc;

use t2i_core::Result;

use super::reader::Reader;
use super::{Arguments, Learned, classes};
use crate::{BoxedSampler, Plan, SharedNoise};

/// What a scheduler class makes of its options: the levels of a run, and the sampler that visits them.
pub(super) trait Scheduler: Debug + Send + Sync {
    /// diffusers' `set_timesteps(steps)`, or an error for 0 steps.
    fn plan(&self, learned: &Learned, steps: usize, arguments: &Arguments) -> Result<Plan>;

    /// The sampler of one run over `plan` or a part of it.
    fn sampler(
        &self,
        learned: &Learned,
        plan: &Plan,
        noise: SharedNoise,
        arguments: &Arguments,
    ) -> BoxedSampler<'static>;

    /// The plan of a run that starts at a `strength` below pure noise.
    fn plan_for_strength(&self, learned: &Learned, steps: usize, strength: f64, arguments: &Arguments) -> Result<Plan> {
        self.plan(learned, steps, arguments)?.for_strength(strength)
    }
}

/// What the model learned, and what the class makes of it.
pub(super) type Read = Result<(Learned, Arc<dyn Scheduler>)>;

/// A class of diffusers: its name, and the reader of its options.
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) read: fn(&mut Reader) -> Read,
    /// The options for curves of sigmas that it has.
    pub(super) curves: &'static [&'static str],
    /// Whether it has `timestep_spacing`.
    pub(super) spaced: bool,
}

impl Debug for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every class that is supported.
pub(super) static CLASSES: &[&Class] = &[
    &classes::consistency::CLASS,
    &classes::ddim::CLASS,
    &classes::ddim_inverse::CLASS,
    &classes::ddpm::CLASS,
    &classes::ddpm_wuerstchen::CLASS,
    &classes::dpm_solver::CLASS,
    &classes::dpm_solver_inverse::CLASS,
    &classes::edm_dpm_solver::CLASS,
    &classes::edm_euler::CLASS,
    &classes::deis::CLASS,
    &classes::ddim::PARALLEL,
    &classes::ddpm::PARALLEL,
    &classes::dpm_sde::CLASS,
    &classes::dpm_singlestep::CLASS,
    &classes::euler::CLASS,
    &classes::euler_ancestral::CLASS,
    &classes::flow_match_euler::CLASS,
    &classes::flow_match_heun::CLASS,
    &classes::flow_match_lcm::CLASS,
    &classes::heun::CLASS,
    &classes::ipndm::CLASS,
    &classes::kdpm2::CLASS,
    &classes::kdpm2_ancestral::CLASS,
    &classes::lcm::CLASS,
    &classes::lms::CLASS,
    &classes::ltx_euler_ancestral::CLASS,
    &classes::pndm::CLASS,
    &classes::sa_solver::CLASS,
    &classes::unclip::CLASS,
    &classes::scm::CLASS,
    &classes::tcd::CLASS,
    &classes::unipc::CLASS,
];

impl Class {
    pub(super) fn from_name(name: &str) -> Option<&'static Self> {
        CLASSES.iter().copied().find(|class| class.name == name)
    }

    pub(super) fn names() -> Vec<&'static str> {
        CLASSES.iter().map(|class| class.name).collect()
    }
}
