//! Queries, or numbers of a head, cut into tiles.

/// Vectors of queries in a tile. With 8 keys, or 8 columns of a value, they take 24 registers.
pub(super) const VECTORS: usize = 3;

/// Tiles of up to three vectors, of nearly the same size.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    start: usize,
    len: usize,
    lane: usize,
}

/// Numbers `start..start + len`, in `lanes` lanes.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) lanes: usize,
}

impl Tiles {
    pub(super) fn new(len: usize, lane: usize) -> Self {
        Self { start: 0, len, lane }
    }
}

impl Iterator for Tiles {
    type Item = Tile;

    fn next(&mut self) -> Option<Tile> {
        let left = self.len.saturating_sub(self.start).div_ceil(self.lane);
        let lanes = left.div_ceil(left.div_ceil(VECTORS).max(1)) * self.lane;
        let start = self.start;
        self.start += lanes;
        (left > 0).then(|| Tile { start, len: lanes.min(self.len - start), lanes })
    }
}
