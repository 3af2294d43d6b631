//! The classes of diffusers that are not supported, and why.

/// What a class of diffusers 0.42.1 is for, and its name without `Scheduler`.
const ABSENT: &[(&str, &[&str])] = &[
    ("is for audio", &["CosineDPMSolverMultistep"]),
    ("is for video", &["CogVideoXDDIM", "CogVideoXDPM", "Helios", "HeliosDMD"]),
    ("is for video and audio", &["MiniMaxH3", "Piflow"]),
    ("is for proteins", &["RFD4Proteina"]),
    ("is for discrete tokens", &["Amused", "BlockRefinement", "DiscreteDDIM", "EntropyBound", "VQDiffusion"]),
    ("is for networks that are told two times", &["FlowMapEulerDiscrete"]),
    ("is a part of an image decoder", &["ConsistencyDecoder"]),
    (
        "needs the original image and a mask in each step (blend them into the latent at each level of DDIMScheduler or \
         DDPMScheduler)",
        &["RePaint"],
    ),
    (
        "has no step of its own but an API for its pipeline (HeunDiscreteScheduler is the same method, and \
         `samplers::Churn` its noise)",
        &["KarrasVe"],
    ),
    ("has no step of its own but predictors and correctors for networks of scores", &["ScoreSdeVe", "ScoreSdeVp"]),
];

/// Why a class of this name is not supported; `None` if diffusers has no such class, or has it for images.
pub(super) fn reason(class: &str) -> Option<&'static str> {
    let name = class.strip_suffix("Scheduler")?;
    ABSENT.iter().find(|(_, names)| names.contains(&name)).map(|(reason, _)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SchedulerConfig;

    #[test]
    fn what_is_supported_is_not_absent() {
        assert!(SchedulerConfig::classes().iter().all(|class| reason(class).is_none()));
        assert_eq!(reason("RePaint"), None);
    }
}
