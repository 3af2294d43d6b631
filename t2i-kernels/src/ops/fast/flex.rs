//! Tensors of Flex as slices, for the kernels.

use burn::backend::Flex;
#[cfg(feature = "autodiff")]
use burn::tensor::TensorData;
use burn::tensor::{DType, Element, Shape};
use burn_flex::{FlexTensor, Layout as Place};
use bytemuck::Pod;
use half::{bf16, f16};

#[cfg(feature = "autodiff")]
use super::KernelGradients;
use super::memory;
use super::{Activation, ForwardKernels, Function, Kernels, Norm, Sight};
use crate::attention::{self, Heads, Inputs, Layout, Mask};
use crate::{Conv2d, Layer, Matrix, Number, Window, activation, norm, rearrange, sum};
#[cfg(feature = "autodiff")]
use crate::{attention::Saved, conv3x3_weight_gradient, matmul};

/// An expression with `T` for the type of a weight's numbers.
macro_rules! with_type {
    ($dtype:expr, $T:ident => $run:expr) => {
        match $dtype {
            DType::F16 => {
                type $T = f16;
                $run
            }
            DType::BF16 => {
                type $T = bf16;
                $run
            }
            _ => {
                type $T = f32;
                $run
            }
        }
    };
}

impl Kernels for Flex {
    fn activate(function: Function, x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let shape = x.layout().shape().clone();
        match function {
            Function::Each(Activation::Silu) => filled(shape, |out| activation::silu(values(&x), out)),
            Function::Each(Activation::Gelu) => filled(shape, |out| activation::gelu(values(&x), out)),
            Function::Each(Activation::QuickGelu) => filled(shape, |out| activation::gelu_quick(values(&x), out)),
            Function::Geglu => {
                let n = half_of_last(&shape);
                filled(with_last(&x, n), |out| activation::geglu(values(&x), n, out))
            }
        }
    }

    fn normalise(norm: Norm, x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f64) -> FlexTensor {
        let (x, gamma, beta) = (x.to_contiguous(), gamma.to_contiguous(), beta.to_contiguous());
        let [x_, gamma, beta] = [&x, &gamma, &beta].map(values);
        let epsilon = epsilon as f32;
        filled(x.layout().shape().clone(), |out| match norm {
            Norm::Group(groups) => norm::group_norm(x_, planes(&x), groups, gamma, beta, epsilon, out),
            Norm::GroupSilu(groups) => norm::group_norm_silu(x_, planes(&x), groups, gamma, beta, epsilon, out),
            Norm::Layer => norm::layer_norm(x_, gamma, beta, epsilon, out),
        })
    }

    fn convolve(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, window: Window) -> FlexTensor {
        let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
        let (channels, bias) = (channels(&weight), Some(values(&bias)));
        with_type!(weight.dtype(), T => convolve(&Conv2d::new(values_of::<T>(&weight), channels, window), &x, bias))
    }

    fn multiply(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        product(x, weight, None)
    }

    fn multiply_add(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        product(x, weight, Some(bias))
    }

    fn attend(query: FlexTensor, key: FlexTensor, value: FlexTensor, heads: usize, sight: Sight) -> FlexTensor {
        let inputs = [query, key, value].map(|input| input.to_contiguous());
        let Inputs { q, k, v, mask, scale } = attention_inputs(&inputs, heads, sight);
        let shape = inputs[0].layout().shape().clone();
        filled(shape, |out| attention::attention(q, k, v, mask, scale, Layout::Tokens, out))
    }
}

impl ForwardKernels for Flex {
    fn add(x: FlexTensor, y: FlexTensor) -> FlexTensor {
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        filled(x.layout().shape().clone(), |out| sum::add(values(&x), values(&y), out))
    }

    fn add_to_channels(x: FlexTensor, y: FlexTensor) -> FlexTensor {
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        filled(x.layout().shape().clone(), |out| sum::add_to_planes(values(&x), values(&y), out))
    }

    fn concat(x: FlexTensor, y: FlexTensor) -> FlexTensor {
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        let ([batch, channels, height, width], [_, others, ..]) = (pictures(&x), pictures(&y));
        filled(Shape::new([batch, channels + others, height, width]), |out| {
            rearrange::concat(values(&x), values(&y), batch, out);
        })
    }

    fn resize_nearest(x: FlexTensor, size: [usize; 2]) -> FlexTensor {
        let x = x.to_contiguous();
        let [batch, channels, height, width] = pictures(&x);
        filled(Shape::new([batch, channels, size[0], size[1]]), |out| {
            rearrange::resize_nearest(values(&x), [height, width], size, out);
        })
    }

    fn swap_last(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let shape = x.layout().shape();
        let [batch, rows, columns] = [shape[0], shape[1], shape[2]];
        filled(Shape::new([batch, columns, rows]), |out| rearrange::transpose(values(&x), [rows, columns], out))
    }

    fn multiply_thrice(
        x: FlexTensor,
        first: FlexTensor,
        first_bias: FlexTensor,
        second: FlexTensor,
        second_bias: FlexTensor,
        third: FlexTensor,
        third_bias: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (weights, biases) = ([first, second, third], [first_bias, second_bias, third_bias]);
        with_type!(weights[0].dtype(), T => products::<T>(x, weights, biases))
    }

    fn perceptron(
        x: FlexTensor,
        first: FlexTensor,
        first_bias: FlexTensor,
        activation: Activation,
        second: FlexTensor,
        second_bias: FlexTensor,
    ) -> FlexTensor {
        let (layers, biases) = ([first, second], [first_bias, second_bias]);
        with_type!(layers[0].dtype(), T => perceptron::<T>(x, layers, biases, activation))
    }
}

#[cfg(feature = "autodiff")]
impl KernelGradients for Flex {
    fn activation_backward(function: Function, x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let shape = x.layout().shape().clone();
        let n = half_of_last(&shape);
        let (x, grad) = (values(&x), values(&grad));
        filled(shape, |out| match function {
            Function::Each(Activation::Silu) => activation::silu_backward(x, grad, out),
            Function::Each(Activation::Gelu) => activation::gelu_backward(x, grad, out),
            Function::Each(Activation::QuickGelu) => activation::gelu_quick_backward(x, grad, out),
            Function::Geglu => activation::geglu_backward(x, n, grad, out),
        })
    }

    fn norm_backward(norm: Norm, inputs: [FlexTensor; 3], epsilon: f64, grad: FlexTensor) -> [FlexTensor; 3] {
        let [x, gamma, beta] = inputs.map(|input| input.to_contiguous());
        let grad = grad.to_contiguous();
        let [x_, gamma_, beta_, grad] = [&x, &gamma, &beta, &grad].map(values);
        let epsilon = epsilon as f32;
        let mut gradients = None;
        let dx = filled(x.layout().shape().clone(), |out| {
            gradients = Some(match norm {
                Norm::Group(groups) => norm::group_norm_backward(x_, planes(&x), groups, gamma_, epsilon, grad, out),
                Norm::Layer => norm::layer_norm_backward(x_, gamma_, epsilon, grad, out),
                Norm::GroupSilu(groups) => {
                    norm::group_norm_silu_backward(x_, planes(&x), groups, gamma_, beta_, epsilon, grad, out)
                }
            });
        });
        let gradients = gradients.expect("the closure has run");
        let vector = |values: Vec<f32>| {
            let n = values.len();
            FlexTensor::from_data(TensorData::new(values, [n]))
        };
        [dx, vector(gradients.gamma), vector(gradients.beta)]
    }

    fn multiply_x_backward(weight: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let (weight, grad) = (weight.to_contiguous(), grad.to_contiguous());
        let [inputs, outputs] = rows(&weight);
        let shape = with_last(&grad, inputs);
        let [m, _] = rows(&grad);
        let (grad, weight) = (Matrix::new(values(&grad), m, outputs), Matrix::new(values(&weight), inputs, outputs));
        filled(shape, |out| matmul(grad, weight.t(), out))
    }

    fn multiply_weight_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let ([m, inputs], [_, outputs]) = (rows(&x), rows(&grad));
        let (x, grad) = (Matrix::new(values(&x), m, inputs), Matrix::new(values(&grad), m, outputs));
        filled(Shape::new([inputs, outputs]), |out| matmul(x.t(), grad, out))
    }

    fn conv3x3_x_backward(weight: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let weight = weight.to_contiguous();
        convolve(&Conv2d::backward(values(&weight), channels(&weight), Window::square(3, 1, 1)), &grad, None)
    }

    fn conv3x3_weight_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor {
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let [[_, inputs, height, width], [_, outputs, ..]] = [&x, &grad].map(pictures);
        filled(Shape::new([outputs, inputs, 3, 3]), |out| {
            conv3x3_weight_gradient(values(&x), values(&grad), [outputs, inputs], [height, width], out);
        })
    }

    fn attention_saving(inputs: [FlexTensor; 3], heads: usize, sight: Sight) -> [FlexTensor; 2] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let shape = inputs[0].layout().shape().clone();
        let [batch, tokens] = [shape[0], shape[1]];
        let kernel = attention_inputs(&inputs, heads, sight);
        let mut out = None;
        let log_sums = filled(Shape::new([batch, heads, tokens]), |log_sums| {
            out = Some(filled(shape, |out| attention::attention_saving(kernel, Layout::Tokens, out, log_sums)));
        });
        [out.expect("the closure has run"), log_sums]
    }

    fn attention_backward(
        inputs: [FlexTensor; 3],
        saved: [FlexTensor; 2],
        heads: usize,
        sight: Sight,
        grad: FlexTensor,
    ) -> [FlexTensor; 3] {
        let inputs = inputs.map(|input| input.to_contiguous());
        let ([out, log_sums], grad) = (saved, grad.to_contiguous());
        let kernel = attention_inputs(&inputs, heads, sight);
        let saved = Saved { out: heads_of(&out, heads), log_sums: values(&log_sums) };
        let mut grads = inputs.each_ref().map(|input| vec![0.0; input.layout().shape().num_elements()]);
        let slices = grads.each_mut().map(Vec::as_mut_slice);
        attention::attention_backward(kernel, saved, heads_of(&grad, heads), Layout::Tokens, slices);
        let shapes = inputs.each_ref().map(|input| input.layout().shape().clone());
        let mut shapes = shapes.into_iter();
        grads.map(|values| FlexTensor::from_data(TensorData::new(values, shapes.next().expect("as many"))))
    }
}

/// `x weight + bias`, for all rows of `x`.
fn product(x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>) -> FlexTensor {
    with_type!(weight.dtype(), T => product_with::<T>(x, weight, bias))
}

fn product_with<T: Number + Element + Pod>(x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>) -> FlexTensor {
    let (x, weight, bias) = (x.to_contiguous(), Weight::new(weight), bias.map(|bias| bias.to_contiguous()));
    let weight = weight.matrix::<T>();
    filled(with_last(&x, weight.cols()), |out| {
        crate::linear(values(&x), weight, bias.as_ref().map(values), out);
    })
}

/// `x weight + bias` for three layers.
fn products<T: Number + Element + Pod>(
    x: FlexTensor,
    weights: [FlexTensor; 3],
    biases: [FlexTensor; 3],
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let x = x.to_contiguous();
    let (weights, biases) = (weights.map(Weight::new), biases.map(|bias| bias.to_contiguous()));
    let layers = [0, 1, 2].map(|i| Layer { w: weights[i].matrix::<T>(), bias: Some(values(&biases[i])) });
    let shape = |i: usize| with_last(&x, layers[i].w.cols());
    let (mut second, mut third) = (None, None);
    let first = filled(shape(0), |first_out| {
        second = Some(filled(shape(1), |second_out| {
            third = Some(filled(shape(2), |third_out| {
                crate::linears(values(&x), layers, [first_out, second_out, third_out]);
            }));
        }));
    });
    (first, second.expect("the closure has run"), third.expect("the closure has run"))
}

fn perceptron<T: Number + Element + Pod>(
    x: FlexTensor,
    weights: [FlexTensor; 2],
    biases: [FlexTensor; 2],
    activation: Activation,
) -> FlexTensor {
    let x = x.to_contiguous();
    let (weights, biases) = (weights.map(Weight::new), biases.map(|bias| bias.to_contiguous()));
    let layer = |i: usize| Layer { w: weights[i].matrix::<T>(), bias: Some(values(&biases[i])) };
    let activate = match activation {
        Activation::Silu => activation::silu_inplace,
        Activation::Gelu => activation::gelu_inplace,
        Activation::QuickGelu => activation::gelu_quick_inplace,
    };
    let layers = [layer(0), layer(1)];
    filled(with_last(&x, layers[1].w.cols()), |out| crate::perceptron(values(&x), layers, activate, out))
}

/// A weight `[inputs, outputs]`. Checkpoints have it the other way round: then it is a view, and as such it is read.
struct Weight {
    values: FlexTensor,
    is_view: bool,
}

impl Weight {
    fn new(weight: FlexTensor) -> Self {
        let transposed = weight.transpose(0, 1);
        let is_view = transposed.is_contiguous();
        Self { values: if is_view { transposed } else { weight.to_contiguous() }, is_view }
    }

    fn matrix<T: Number + Element + Pod>(&self) -> Matrix<'_, T> {
        let [rows, columns] = rows(&self.values);
        let matrix = Matrix::new(values_of::<T>(&self.values), rows, columns);
        if self.is_view { matrix.t() } else { matrix }
    }
}

/// The shape of `x`, but for the last axis.
fn with_last(x: &FlexTensor, last: usize) -> Shape {
    let mut shape = x.layout().shape().clone();
    let axis = shape.num_dims() - 1;
    shape[axis] = last;
    shape
}

fn half_of_last(shape: &Shape) -> usize {
    shape[shape.num_dims() - 1] / 2
}

/// All axes but the last as one, and the last.
fn rows(x: &FlexTensor) -> [usize; 2] {
    let shape = x.layout().shape();
    let last = shape[shape.num_dims() - 1];
    [shape.num_elements() / last, last]
}

/// Queries, keys and values, `[batch, tokens, heads * dim]` each.
fn attention_inputs(inputs: &[FlexTensor; 3], heads: usize, sight: Sight) -> Inputs<'_> {
    let [q, k, v] = inputs.each_ref().map(|input| heads_of(input, heads));
    let mask = match sight {
        Sight::All => Mask::None,
        Sight::Past => Mask::Causal,
    };
    let width = inputs[0].layout().shape()[2] / heads;
    Inputs { q, k, v, mask, scale: (width as f64).powf(-0.5) as f32 }
}

/// `[batch, tokens, heads * dim]`
fn heads_of(x: &FlexTensor, heads: usize) -> Heads<'_> {
    let shape = x.layout().shape();
    Heads::new(values(x), [shape[0], heads, shape[1], shape[2] / heads], Layout::Tokens)
}

fn convolve<T: Number>(conv: &Conv2d<'_, T>, x: &FlexTensor, bias: Option<&[f32]>) -> FlexTensor {
    let x = x.to_contiguous();
    let [batch, _, height, width] = pictures(&x);
    let [high, wide] = conv.window().output([height, width]);
    filled(Shape::new([batch, conv.outputs(), high, wide]), |out| {
        conv.forward(values(&x), [height, width], bias, out);
    })
}

/// The values of a tensor that lies in one piece.
fn values(x: &FlexTensor) -> &[f32] {
    values_of(x)
}

/// The values of a tensor of this type that lies in one piece.
fn values_of<T: Element + Pod>(x: &FlexTensor) -> &[T] {
    x.as_slice().expect("numbers of this type, in one piece")
}

/// A tensor that `write` fills.
fn filled(shape: Shape, write: impl FnOnce(&mut [f32])) -> FlexTensor {
    let bytes = memory::filled(shape.num_elements(), write);
    FlexTensor::new(bytes, Place::contiguous(shape), DType::F32)
}

/// `[batch, channels, height, width]`
fn pictures(x: &FlexTensor) -> [usize; 4] {
    let shape = x.layout().shape();
    [shape[0], shape[1], shape[2], shape[3]]
}

/// `[batch, channels, height * width]`
fn planes(x: &FlexTensor) -> [usize; 3] {
    let [batch, channels, height, width] = pictures(x);
    [batch, channels, height * width]
}

/// `[outputs, inputs]` of a kernel.
fn channels(weight: &FlexTensor) -> [usize; 2] {
    let [outputs, inputs, ..] = pictures(weight);
    [outputs, inputs]
}
