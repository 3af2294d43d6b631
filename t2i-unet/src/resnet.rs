//! The residual layer: two convolutions, told the timestep in between.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use t2i_kernels::ops::{add, add_to_channels, conv2d, group_norm, linear};

use crate::activation::Activation;
use crate::config::TimeScaleShift;
use crate::sampling::same_size_conv;

/// What a [`ResnetBlock`] looks like.
#[derive(Clone)]
pub(crate) struct ResnetConfig {
    pub(crate) channels_in: usize,
    pub(crate) channels_out: usize,
    pub(crate) time_dim: usize,
    pub(crate) groups: usize,
    pub(crate) eps: f64,
    pub(crate) act: Activation,
    pub(crate) time_scale_shift: TimeScaleShift,
    pub(crate) output_scale_factor: f64,
}

/// `(shortcut(x) + conv2(act(norm2(conv1(act(norm1(x))) + time)))) / scale`
#[derive(Module, Debug)]
pub(crate) struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    #[module(skip)]
    act: Activation,
    #[module(skip)]
    time_scale_shift: TimeScaleShift,
    output_scale_factor: f64,
}

impl ResnetConfig {
    pub(crate) fn init(&self, device: &Device) -> ResnetBlock {
        let (from, to) = (self.channels_in, self.channels_out);
        let norm = |channels| GroupNormConfig::new(self.groups, channels).with_epsilon(self.eps).init(device);
        let time_out = match self.time_scale_shift {
            TimeScaleShift::Shift => to,
            TimeScaleShift::ScaleShift => 2 * to,
        };
        ResnetBlock {
            norm1: norm(from),
            conv1: same_size_conv([from, to], 3, device),
            time_emb_proj: LinearConfig::new(self.time_dim, time_out).init(device),
            norm2: norm(to),
            conv2: same_size_conv([to, to], 3, device),
            conv_shortcut: (from != to).then(|| same_size_conv([from, to], 1, device)),
            act: self.act,
            time_scale_shift: self.time_scale_shift,
            output_scale_factor: self.output_scale_factor,
        }
    }
}

impl ResnetBlock {
    /// # Shapes
    /// - x: `[batch, channels_in, height, width]`
    /// - time: `[batch, time_dim]`, after the activation
    /// - output: `[batch, channels_out, height, width]`
    pub(crate) fn forward(&self, x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let h = self.act.of_norm(&self.norm1, x.clone());
        let h = self.tell_time(conv2d(&self.conv1, h), time);
        let h = conv2d(&self.conv2, h);
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv2d(conv, x),
            None => x,
        };
        let sum = add(shortcut, h);
        if self.output_scale_factor == 1.0 { sum } else { sum / self.output_scale_factor }
    }

    /// The second norm and activation, with the timestep before or after the norm.
    fn tell_time(&self, h: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        let time = linear(&self.time_emb_proj, time.clone());
        match self.time_scale_shift {
            TimeScaleShift::Shift => self.act.of_norm(&self.norm2, add_to_channels(h, time)),
            TimeScaleShift::ScaleShift => {
                let [scale, shift] = halves(time.unsqueeze_dims(&[2, 3]));
                self.act.forward(group_norm(&self.norm2, h) * (scale + 1.0) + shift)
            }
        }
    }
}

/// The first and the second half of the channels.
fn halves(x: Tensor<4>) -> [Tensor<4>; 2] {
    let half = x.dims()[1] / 2;
    [x.clone().narrow(1, 0, half), x.narrow(1, half, half)]
}
