//! The window of a convolution: which inputs an output sees.

/// Kernel, stride and padding of a convolution in two dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step from one output to the next, down and to the right.
    pub stride: [usize; 2],
    /// Zeros above and below the picture, then left and right of it.
    pub padding: [[usize; 2]; 2],
}

impl Window {
    /// A square kernel with the same stride and padding on all sides.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding: [[padding; 2]; 2] }
    }

    /// Height and width of the result, for those of the picture.
    ///
    /// # Panics
    ///
    /// If the kernel or the stride is 0, or the kernel is larger than the padded picture.
    pub fn output(&self, picture: [usize; 2]) -> [usize; 2] {
        [0, 1].map(|i| {
            let padded = picture[i] + self.padding[i][0] + self.padding[i][1];
            let kernel = self.kernel[i];
            assert!((1..=padded).contains(&kernel), "a kernel of {kernel} for {padded} values");
            assert!(self.stride[i] > 0, "a stride of 0");
            (padded - kernel) / self.stride[i] + 1
        })
    }

    /// The window through which gradients pass back, if the stride is 1.
    pub(super) fn back(&self) -> Self {
        let padding = [0, 1].map(|i| {
            self.padding[i].map(|padding| {
                let most = self.kernel[i].saturating_sub(1);
                assert!(padding <= most, "a padding of {padding} for a kernel of {}", self.kernel[i]);
                most - padding
            })
        });
        Self { padding, ..*self }
    }

    /// Whether each output sees just the input at its own place.
    pub(super) fn is_pointwise(&self) -> bool {
        *self == Self::square(1, 1, 0)
    }
}
