//! The kernels' gradients in Burn's autodiff.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata};

use super::{Function, KernelGradients, Kernels, Norm, Sight};
use crate::Window;

#[derive(Debug)]
struct ActivationStep;

impl<B: KernelGradients> Backward<B, 1> for ActivationStep {
    type State = (Function, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        if let [Some(node)] = ops.parents {
            let (function, x) = ops.state;
            grads.register::<B>(node.id, B::activation_backward(function, x, grad));
        }
    }
}

#[derive(Debug)]
struct NormStep;

impl<B: KernelGradients> Backward<B, 3> for NormStep {
    type State = (Norm, [FloatTensor<B>; 3], f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (norm, inputs, epsilon) = ops.state;
        register::<B, 3>(
            grads,
            ops.parents.map(|parent| parent.map(|node| node.id)),
            B::norm_backward(norm, inputs, epsilon, grad),
        );
    }
}

#[derive(Debug)]
struct Conv3x3Step;

impl<B: KernelGradients> Backward<B, 3> for Conv3x3Step {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let ([x, weight], [x_node, weight_node, bias_node]) = (ops.state, ops.parents);
        if let Some(node) = x_node {
            grads.register::<B>(node.id, B::conv3x3_x_backward(weight, grad.clone()));
        }
        if let Some(node) = weight_node {
            grads.register::<B>(node.id, B::conv3x3_weight_backward(x, grad.clone()));
        }
        if let Some(node) = bias_node {
            grads.register::<B>(node.id, sum_over_pixels::<B>(grad));
        }
    }
}

/// `[batch, channels, height, width] -> [channels]`
fn sum_over_pixels<B: Backend>(grad: FloatTensor<B>) -> FloatTensor<B> {
    let shape = grad.shape();
    let [batch, channels, pixels] = [shape[0], shape[1], shape[2] * shape[3]];
    let sums = B::float_sum_dim(B::float_reshape(grad, [batch, channels, pixels].into()), 2);
    let sums = B::float_sum_dim(B::float_reshape(sums, [batch, channels].into()), 0);
    B::float_reshape(sums, [channels].into())
}

#[derive(Debug)]
struct MultiplyStep;

impl<B: KernelGradients> Backward<B, 2> for MultiplyStep {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let ([x, weight], [x_node, weight_node]) = (ops.state, ops.parents);
        if let Some(node) = x_node {
            grads.register::<B>(node.id, B::multiply_x_backward(weight, grad.clone()));
        }
        if let Some(node) = weight_node {
            grads.register::<B>(node.id, B::multiply_weight_backward(x, grad));
        }
    }
}

#[derive(Debug)]
struct AttentionStep;

impl<B: KernelGradients> Backward<B, 3> for AttentionStep {
    type State = ([FloatTensor<B>; 3], [FloatTensor<B>; 2], usize, Sight);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (inputs, saved, heads, sight) = ops.state;
        register::<B, 3>(
            grads,
            ops.parents.map(|parent| parent.map(|node| node.id)),
            B::attention_backward(inputs, saved, heads, sight, grad),
        );
    }
}

/// Gives gradients to those of the inputs that want them.
fn register<B: Backend, const N: usize>(
    grads: &mut Gradients,
    parents: [Option<NodeId>; N],
    each: [FloatTensor<B>; N],
) {
    for (parent, grad) in parents.into_iter().zip(each) {
        if let Some(parent) = parent {
            grads.register::<B>(parent, grad);
        }
    }
}

impl<B: KernelGradients, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn activate(function: Function, x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match ActivationStep.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((function, x.clone()), B::activate(function, x)),
            OpsKind::UnTracked(prep) => prep.finish(B::activate(function, x)),
        }
    }

    fn normalise(
        norm: Norm,
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let [(x, x_node), (gamma, gamma_node), (beta, beta_node)] = [x, gamma, beta].map(|input| input.into_parts());
        match NormStep.prepare::<C>([x_node, gamma_node, beta_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = (norm, [x.clone(), gamma.clone(), beta.clone()], epsilon);
                prep.finish(state, B::normalise(norm, x, gamma, beta, epsilon))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::normalise(norm, x, gamma, beta, epsilon)),
        }
    }

    /// Only windows of 3 x 3 with stride 1 and padding 1 have a gradient.
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        let [(x, x_node), (weight, weight_node), (bias, bias_node)] = [x, weight, bias].map(|input| input.into_parts());
        match Conv3x3Step.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([x.clone(), weight.clone()], B::convolve(x, weight, bias, window)),
            OpsKind::UnTracked(prep) => prep.finish(B::convolve(x, weight, bias, window)),
        }
    }

    fn multiply(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let [(x, x_node), (weight, weight_node)] = [x, weight].map(|input| input.into_parts());
        match MultiplyStep.prepare::<C>([x_node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish([x.clone(), weight.clone()], B::multiply(x, weight)),
            OpsKind::UnTracked(prep) => prep.finish(B::multiply(x, weight)),
        }
    }

    fn multiply_add(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let product = Self::multiply(x, weight);
        let mut shape = vec![1; product.shape().num_dims()];
        *shape.last_mut().expect("an axis of outputs") = bias.shape()[0];
        Self::float_add(product, Self::float_reshape(bias, shape.into()))
    }

    fn attend(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: usize,
        sight: Sight,
    ) -> FloatTensor<Self> {
        let [(q, q_node), (k, k_node), (v, v_node)] = [query, key, value].map(|input| input.into_parts());
        match AttentionStep.prepare::<C>([q_node, k_node, v_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let inputs = [q, k, v];
                let saved = B::attention_saving(inputs.clone(), heads, sight);
                let out = saved[0].clone();
                prep.finish((inputs, saved, heads, sight), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::attend(q, k, v, heads, sight)),
        }
    }
}
