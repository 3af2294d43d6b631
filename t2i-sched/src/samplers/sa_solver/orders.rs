//! The orders of stochastic Adams steps.

use crate::Level;
use crate::samplers::exponential::Caps;

/// The orders of the predictor and the corrector, and their limits at some levels.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    predictor: usize,
    corrector: usize,
    from: Caps,
    to: Caps,
}

impl Orders {
    pub(super) fn new(predictor: usize, corrector: usize) -> Self {
        Self { predictor, corrector, ..Self::default() }
    }

    pub(super) fn capped(self, predictor: Vec<(Level, usize)>, corrector: Vec<(Level, usize)>) -> Self {
        Self { from: Caps(predictor), to: Caps(corrector), ..self }
    }

    /// Lower orders near the end of these levels; the corrector's lag by one where the end is clean.
    pub(super) fn lower_at_the_end(self, levels: &[Level]) -> Self {
        let clean = usize::from(levels.last().is_some_and(|level| level.is_clean()));
        let left = |i: usize| levels.len().saturating_sub(1 + i);
        let capped = |cap: &dyn Fn(usize) -> usize| (0..left(0)).map(|i| (levels[i], cap(left(i)).max(1))).collect();
        if levels.is_empty() {
            return self;
        }
        self.capped(capped(&|left| left - clean), capped(&|left| left + 2 - 2 * clean))
    }

    /// The predictor's order in a step from `level`.
    pub(super) fn predictor(&self, level: Level) -> usize {
        self.predictor.min(self.from.at(level))
    }

    /// The corrector's order in a step to `level`.
    pub(super) fn corrector(&self, level: Level) -> usize {
        self.corrector.min(self.to.at(level))
    }

    /// How many levels done they need.
    pub(super) fn remembered(&self) -> usize {
        self.predictor.max(self.corrector.saturating_sub(1))
    }
}
