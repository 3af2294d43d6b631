//! A convolution's weight and window.

use std::borrow::Cow;

use super::{implicit::Implicit, shape::Window, winograd::Winograd};
use crate::{Number, matmul::Matrix};

/// The weight of a convolution with any window.
///
/// 3x3 with stride 1 and padding 1 takes a quarter of the products, in tiles of 4x4 outputs, unless the pictures are
/// very small.
pub struct Conv2d<'a, T: Number = f32> {
    weight: Cow<'a, [T]>,
    outputs: usize,
    inputs: usize,
    window: Window,
}

impl<'a, T: Number> Conv2d<'a, T> {
    /// With a weight `[outputs, inputs, kernel height, kernel width]`.
    ///
    /// # Panics
    ///
    /// If there is not that number of values, or none.
    pub fn new(weight: impl Into<Cow<'a, [T]>>, [outputs, inputs]: [usize; 2], window: Window) -> Self {
        let (weight, [high, wide]) = (weight.into(), window.kernel);
        assert_eq!(weight.len(), outputs * inputs * high * wide, "a weight [{outputs}, {inputs}, {high}, {wide}]");
        assert!(!weight.is_empty(), "a convolution without weights");
        Self { weight, outputs, inputs, window }
    }

    /// Output channels.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Input channels.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// The convolution of a batch of pictures.
    ///
    /// With a window of 3x3, stride 1 and padding 1, a value that is not finite may make all outputs of a tile that sees it
    /// NaN.
    ///
    /// # Shapes
    ///
    /// `x [batch, inputs, height, width]`, `bias [outputs]`, `out [batch, outputs, window.output([height, width])]`.
    ///
    /// # Panics
    ///
    /// If a length does not fit the others, if `x` is empty, or if the kernel is larger than the padded picture.
    pub fn forward(&self, x: &[f32], [height, width]: [usize; 2], bias: Option<&[f32]>, out: &mut [f32]) {
        let size = self.inputs * height * width;
        assert!(size > 0 && !x.is_empty(), "a convolution of nothing");
        assert!(
            x.len().is_multiple_of(size),
            "{} values are no pictures [{}, {height}, {width}]",
            x.len(),
            self.inputs
        );
        let [high, wide] = self.window.output([height, width]);
        assert_eq!(out.len(), x.len() / size * self.outputs * high * wide, "the result of {} pictures", x.len() / size);
        assert!(bias.is_none_or(|bias| bias.len() == self.outputs), "the bias has {} values", self.outputs);
        let (inputs, picture) = (self.inputs, [height, width]);
        if self.window == Window::square(3, 1, 1) && Winograd::<T>::is_worth_it(x.len() / size, picture) {
            Winograd { weight: &self.weight, bias, x, outputs: self.outputs, inputs, picture }.forward(out);
        } else {
            let weight = Matrix::new(&self.weight, self.outputs, self.weight.len() / self.outputs);
            Implicit { weight, bias, x, inputs, picture, window: self.window }.forward(out);
        }
    }
}

impl<T: Number> std::fmt::Debug for Conv2d<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Conv2d({} -> {}, {:?})", self.inputs, self.outputs, self.window)
    }
}
