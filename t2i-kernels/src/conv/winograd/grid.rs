//! Where the tiles lie.

/// The outputs of a tile are `SIDE x SIDE`.
pub(super) const SIDE: usize = 4;

/// Tiles of a batch of pictures, counted along the rows of one picture after another.
pub(super) struct Grid {
    pub(super) batch: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// Tiles side by side in a row of tiles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The first, counted among those asked for.
    pub(super) slot: usize,
    pub(super) count: usize,
    pub(super) picture: usize,
    /// The first output.
    pub(super) y: usize,
    pub(super) x: usize,
}

impl Grid {
    pub(super) fn tiles(&self) -> usize {
        self.batch * self.height.div_ceil(SIDE) * self.width.div_ceil(SIDE)
    }

    /// The tiles from `first` on, `count` of them or as many as there are.
    pub(super) fn places(&self, first: usize, count: usize) -> Vec<Run> {
        let (high, wide) = (self.height.div_ceil(SIDE), self.width.div_ceil(SIDE));
        let end = (first + count).min(self.tiles());
        let mut runs = Vec::new();
        let mut at = first;
        while at < end {
            let count = (wide - at % wide).min(end - at);
            let (row, x) = (at / wide, at % wide * SIDE);
            runs.push(Run { slot: at - first, count, picture: row / high, y: row % high * SIDE, x });
            at += count;
        }
        runs
    }
}

/// The parts of the runs within the slots from `first`, `count` of them, counted from there.
pub(super) fn within(runs: &[Run], first: usize, count: usize) -> impl Iterator<Item = Run> {
    runs.iter().filter_map(move |run| {
        let start = run.slot.max(first);
        let end = (run.slot + run.count).min(first + count);
        (start < end).then(|| Run {
            slot: start - first,
            count: end - start,
            x: run.x + (start - run.slot) * SIDE,
            ..*run
        })
    })
}
