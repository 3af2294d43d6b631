//! Gradients of convolutions.

use super::{layer::Conv2d, shape::Window, winograd::WeightGradient};

/// The gradient of a loss with respect to the weight of a 3x3 convolution with stride 1 and padding 1.
///
/// # Shapes
///
/// `x [batch, inputs, height, width]`, `dout [batch, outputs, height, width]`, `dweight [outputs, inputs, 3, 3]`, which
/// is overwritten.
///
/// # Panics
///
/// If a length does not fit the others, or if `x` is empty.
pub fn conv3x3_weight_gradient(
    x: &[f32],
    dout: &[f32],
    [outputs, inputs]: [usize; 2],
    [height, width]: [usize; 2],
    dweight: &mut [f32],
) {
    let size = inputs * height * width;
    assert!(size > 0 && !x.is_empty(), "a convolution of nothing");
    assert!(x.len().is_multiple_of(size), "{} values are no pictures [{inputs}, {height}, {width}]", x.len());
    assert_eq!(dout.len(), x.len() / inputs * outputs, "the result of {} pictures", x.len() / size);
    assert_eq!(dweight.len(), outputs * inputs * 9, "a weight [{outputs}, {inputs}, 3, 3]");
    WeightGradient { x, dout, outputs, inputs, picture: [height, width] }.run(dweight);
}

impl Conv2d<'static> {
    /// The convolution that passes a gradient back from the result to the picture of a convolution with stride 1: its
    /// `forward` takes `dout [batch, outputs, height, width]` and writes `dx [batch, inputs, height, width]`.
    ///
    /// The weight is the other convolution's, `[outputs, inputs, kernel height, kernel width]`, and so is the window.
    ///
    /// # Panics
    ///
    /// If there is not that number of values, or none, if the stride is not 1, or if the padding is larger than the
    /// kernel allows (`kernel - 1`).
    pub fn backward(weight: &[f32], [outputs, inputs]: [usize; 2], window: Window) -> Self {
        let [high, wide] = window.kernel;
        let size = high * wide;
        assert_eq!(weight.len(), outputs * inputs * size, "a weight [{outputs}, {inputs}, {high}, {wide}]");
        assert_eq!(window.stride, [1, 1], "the gradient of a convolution with a stride is none of these");
        let mut flipped = vec![0.0; weight.len()];
        for (i, kernel) in weight.chunks_exact(size.max(1)).enumerate() {
            let (o, c) = (i / inputs, i % inputs);
            let to = &mut flipped[(c * outputs + o) * size..][..size];
            to.iter_mut().zip(kernel.iter().rev()).for_each(|(to, value)| *to = *value);
        }
        Self::new(flipped, [inputs, outputs], window.back())
    }
}
