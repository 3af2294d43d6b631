//! Where the numbers of each head lie.

/// The order of the axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[batch, heads, tokens, width]`.
    Heads,
    /// `[batch, tokens, heads * width]`, as a linear layer leaves them.
    Tokens,
}

/// Queries, keys or values: `[batch, heads, tokens, width]`, wherever they lie.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a> {
    data: &'a [f32],
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) tokens: usize,
    pub(super) width: usize,
    /// From one example, head or token to the next.
    strides: [usize; 3],
}

impl<'a> Heads<'a> {
    /// Numbers without gaps. `shape` is `[batch, heads, tokens, width]` for each layout.
    ///
    /// # Panics
    ///
    /// If a size is 0 or `data` has another length.
    pub fn new(data: &'a [f32], shape: [usize; 4], layout: Layout) -> Self {
        assert_eq!(data.len(), shape.iter().product::<usize>(), "attention: the length of data is not its shape's");
        Self::with_strides(data, shape, layout.strides(shape))
    }

    /// Numbers at `data[batch * strides[0] + head * strides[1] + token * strides[2] + i]`, for instance the keys in the
    /// output of one linear layer for queries, keys and values.
    ///
    /// # Panics
    ///
    /// If a size is 0 or the last number lies beyond the end of `data`.
    pub fn with_strides(data: &'a [f32], shape: [usize; 4], strides: [usize; 3]) -> Self {
        assert!(!shape.contains(&0), "attention: a size of {shape:?} is 0");
        let [batch, heads, tokens, width] = shape;
        let last = (batch - 1) * strides[0] + (heads - 1) * strides[1] + (tokens - 1) * strides[2] + width;
        assert!(last <= data.len(), "attention: {shape:?} with strides {strides:?} is longer than data");
        Self { data, batch, heads, tokens, width, strides }
    }

    /// `[batch, heads, tokens, width]`.
    pub(super) fn shape(&self) -> [usize; 4] {
        [self.batch, self.heads, self.tokens, self.width]
    }

    /// One head of one example.
    pub(super) fn rows(&self, batch: usize, head: usize) -> Rows<'a> {
        let start = batch * self.strides[0] + head * self.strides[1];
        Rows { data: &self.data[start..], stride: self.strides[2], len: self.tokens, width: self.width }
    }
}

impl Layout {
    fn strides(self, [_, heads, tokens, width]: [usize; 4]) -> [usize; 3] {
        match self {
            Self::Heads => [heads * tokens * width, tokens * width, width],
            Self::Tokens => [tokens * heads * width, width, heads * width],
        }
    }

    /// The rows of `x`, in groups of `size` tokens of one head: `[batch, heads, blocks]` groups.
    pub(super) fn split(
        self,
        x: &mut [f32],
        [batch, heads, tokens, width]: [usize; 4],
        size: usize,
    ) -> Vec<Vec<&mut [f32]>> {
        let blocks = tokens.div_ceil(size);
        let mut groups: Vec<Vec<&mut [f32]>> = Vec::new();
        groups.resize_with(batch * heads * blocks, || Vec::with_capacity(size));
        let (outer, inner) = if self == Self::Heads { (heads, tokens) } else { (tokens, heads) };
        let mut rows = x.chunks_exact_mut(width);
        for (b, i) in (0..batch).flat_map(|b| (0..outer).map(move |i| (b, i))) {
            for (j, row) in rows.by_ref().take(inner).enumerate() {
                let (head, token) = if self == Self::Heads { (i, j) } else { (j, i) };
                groups[(b * heads + head) * blocks + token / size].push(row);
            }
        }
        groups
    }
}

/// One head: `[len, width]`, the rows `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    data: &'a [f32],
    stride: usize,
    pub(super) len: usize,
    pub(super) width: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub(super) fn row(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.stride..][..self.width]
    }

    /// Without the first `n` rows.
    pub(super) fn skip(self, n: usize) -> Self {
        Self { data: &self.data[n * self.stride..], len: self.len - n, ..self }
    }

    /// The rows `start..start + len`.
    pub(super) fn slice(self, start: usize, len: usize) -> Self {
        Self { len, ..self.skip(start) }
    }
}
