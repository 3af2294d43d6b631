//! LoRA under training. [Hu et al. 2021](https://arxiv.org/abs/2106.09685)

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use t2i::TextEncoder;
use t2i_core::{Error, LoraLayer, Part, Result, layers, with_changes};
use t2i_sched::Generator;
use t2i_text::TextOutput;
use t2i_unet::UNet;

use super::{Frozen, Learner};

/// Small changes of layers: `W + up down`, of a rank far below that of `W`.
#[derive(Module, Debug)]
pub struct LowRank {
    /// `[rank, in]`, for each layer.
    down: Vec<Param<Tensor<2>>>,
    /// `[out, rank]`, for each layer. Zero at the beginning, so that nothing is changed.
    up: Vec<Param<Tensor<2>>>,
    #[module(skip)]
    layers: Vec<(Part, String)>,
}

impl LowRank {
    /// A LoRA of `rank` for the attention of these parts of a model, that changes nothing yet.
    ///
    /// The layers are those of diffusers' training script: queries, keys, values and outputs.
    ///
    /// # Errors
    /// If `rank` is 0; if the model has no such part.
    pub fn new(frozen: &Frozen, parts: &[Part], rank: usize, seed: u64) -> Result<Self> {
        if rank == 0 {
            let expected = "1 or more".to_owned();
            return Err(Error::InvalidValue { field: "rank", value: "0".to_owned(), expected });
        }
        let mut generator = Generator::new(seed);
        let mut made = Self { down: Vec::new(), up: Vec::new(), layers: Vec::new() };
        for part in parts {
            for (path, [out, input]) in attention_layers(frozen, *part)? {
                let down = normal(&mut generator, [rank, input], 1.0 / rank as f32, frozen.device());
                made.down.push(Param::from_tensor(down));
                made.up.push(Param::from_tensor(Tensor::zeros([out, rank], (frozen.device(), DType::F32))));
                made.layers.push((*part, path));
            }
        }
        Ok(made)
    }

    /// What has been learned so far.
    pub fn layers(&self) -> Vec<LoraLayer> {
        let data = |param: &Param<Tensor<2>>| param.val().inner().into_data();
        let halves = self.down.iter().zip(&self.up).map(|(down, up)| (data(down), data(up)));
        let layer = |((part, path), (down, up)): (&(Part, String), (TensorData, TensorData))| LoraLayer {
            part: *part,
            path: path.clone(),
            alpha: down.shape()[0] as f64,
            down,
            up,
        };
        self.layers.iter().zip(halves).map(layer).collect()
    }

    /// A part of the model with what was learned. Gradients flow to the halves.
    fn apply<M: Module>(&self, part: Part, module: &M) -> M {
        let of_part = self.layers.iter().enumerate().filter(|(_, (of, _))| *of == part);
        let change = |i: usize| self.up[i].val().matmul(self.down[i].val());
        let changes: BTreeMap<_, _> = of_part.map(|(i, (_, path))| (path.clone(), change(i))).collect();
        with_changes(module.clone(), &changes)
    }
}

impl Learner for LowRank {
    fn read(&self, encoder: &TextEncoder, ids: Tensor<2, Int>) -> TextOutput {
        self.apply(encoder.part(), &encoder.model).forward(ids)
    }

    fn unet(&self, unet: &UNet) -> UNet {
        self.apply(Part::Unet, unet)
    }
}

/// Paths and shapes, `[out, in]`, of the attention of a part.
fn attention_layers(frozen: &Frozen, part: Part) -> Result<Vec<(String, [usize; 2])>> {
    const ENDS: [&str; 8] = [".to_q", ".to_k", ".to_v", ".to_out.0", ".q_proj", ".k_proj", ".v_proj", ".out_proj"];
    let all = match part {
        Part::Unet => layers(frozen.network()),
        _ => match frozen.encoders().iter().find(|encoder| encoder.part() == part) {
            Some(encoder) => layers(&encoder.model),
            None => {
                let (value, expected) = (part.to_string(), "a network of the model".to_owned());
                return Err(Error::InvalidValue { field: "part", value, expected });
            }
        },
    };
    let is_attention = |path: &str| ENDS.iter().any(|end| path.ends_with(end));
    let matrix = |(path, shape): (String, Vec<usize>)| Some((path, <[usize; 2]>::try_from(shape).ok()?));
    Ok(all.into_iter().filter(|(path, _)| is_attention(path)).filter_map(matrix).collect())
}

/// The same on every device.
fn normal(generator: &mut Generator, [rows, columns]: [usize; 2], deviation: f32, device: &Device) -> Tensor<2> {
    let values = generator.randn(rows * columns).into_iter().map(|value| value * deviation).collect();
    Tensor::from_data(TensorData::new(values, [rows, columns]), (device, DType::F32))
}
