//! What a LoRA does to one layer.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::layers::Layer;
use super::name::Half;
use crate::{Error, Result};

/// The tensors for one layer, as the file has them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tensors {
    down: Option<Named>,
    up: Option<Named>,
    mid: Option<Named>,
    alpha: Option<Named>,
}

/// A tensor, and what the file calls it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// The change of one layer: `W += strength * scale * up mid down`.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// `[rank, in]` or `[rank, in, height, width]`
    pub(super) down: Named,
    /// `[out, rank]`, whatever ones the file has behind them
    pub(super) up: Named,
    /// `[rank, rank, height, width]`; `down` then has a height and width of 1
    pub(super) mid: Option<Named>,
    /// Of which the scale is alpha over the rank; `None` leaves that to others.
    pub(super) alpha: Option<f64>,
    pub(super) rank: usize,
}

impl Tensors {
    /// Takes a tensor; gives it back if there is one already.
    pub(super) fn put(&mut self, half: Half, tensor: Named) -> Option<Named> {
        let place = match half {
            Half::Down => &mut self.down,
            Half::Up => &mut self.up,
            Half::Mid => &mut self.mid,
            Half::Alpha => &mut self.alpha,
        };
        match place {
            Some(_) => Some(tensor),
            None => {
                *place = Some(tensor);
                None
            }
        }
    }

    /// The change, if both halves are there and of one rank.
    pub(super) fn into_change(self, origin: &str) -> Result<Change> {
        let (down, up) = match (self.down, self.up) {
            (Some(down), Some(up)) => (down, up),
            (down, up) => {
                let present = down.or(up).or(self.mid).or(self.alpha);
                return Err(missing_half(origin, &present.map_or_else(String::new, |tensor| tensor.name)));
            }
        };
        let rank = down.shape.first().copied().unwrap_or(0);
        if rank == 0 {
            let detail = format!("tensor `{}` has rank 0, but a LoRA has a rank of 1 or more", down.name);
            return Err(Error::corrupt(origin, detail));
        }
        let alpha = self.alpha.map(|alpha| single(origin, &alpha)).transpose()?;
        Ok(Change { down, up, mid: self.mid, alpha, rank })
    }
}

/// What the half that is not there would be called.
fn missing_half(origin: &str, present: &str) -> Error {
    const HALVES: [(&str, &str); 10] = [
        ("lora_A", "lora_B"),
        ("lora_B", "lora_A"),
        ("lora_down", "lora_up"),
        ("lora_up", "lora_down"),
        ("lora_mid", "lora_down"),
        (".down.", ".up."),
        (".up.", ".down."),
        (":down", ":up"),
        (":up", ":down"),
        (".alpha", ".lora_down.weight"),
    ];
    let other = HALVES.iter().find(|(half, _)| present.contains(half));
    let tensor = other.map_or_else(|| present.to_owned(), |(half, other)| present.replace(half, other));
    Error::MissingTensor { origin: origin.to_owned(), tensor, nearest: None }
}

fn single(origin: &str, tensor: &Named) -> Result<f64> {
    match tensor.values.as_slice() {
        [alpha] => Ok(f64::from(*alpha)),
        values => {
            let detail = format!("tensor `{}` holds {} values; an alpha is one", tensor.name, values.len());
            Err(Error::corrupt(origin, detail))
        }
    }
}

impl Change {
    /// # Errors
    /// If the shapes are not those for this layer.
    pub(super) fn check(&self, origin: &str, layer: &Layer) -> Result<()> {
        let (out, inner) = (layer.shape[0], &layer.shape[1..]);
        let rank = self.rank;
        let mut down = [&[rank], inner].concat();
        if let Some(mid) = &self.mid {
            down.truncate(2);
            expect(origin, mid, [&[rank, rank], &inner[1..]].concat())?;
        }
        expect(origin, &self.down, down)?;
        expect(origin, &self.up, vec![out, rank])
    }

    /// `up mid down`; columns are inputs, and behind each its kernel. `[out, in * height * width]`
    pub(super) fn product(&self, device: &Device) -> Tensor<2> {
        let (up, down) = (self.up.rows(device), self.down.rows(device));
        let Some(mid) = &self.mid else {
            return up.matmul(down);
        };
        let (rank, inputs) = (self.rank, down.dims()[1]);
        let kernel = mid.values.len() / (rank * rank);
        let mid = mid.rows(device).reshape([rank, rank, kernel]).swap_dims(1, 2).reshape([rank * kernel, rank]);
        let inner = mid.matmul(down).reshape([rank, kernel, inputs]).swap_dims(1, 2).reshape([rank, inputs * kernel]);
        up.matmul(inner)
    }
}

impl Named {
    /// A matrix with the first dimension as rows, and all others as columns.
    fn rows(&self, device: &Device) -> Tensor<2> {
        let rows = self.shape[0];
        let data = TensorData::new(self.values.clone(), [rows, self.values.len() / rows]);
        Tensor::from_data(data, (device, DType::F32))
    }
}

/// Ones at the end of a shape say nothing: a 1x1 convolution fits a linear layer.
fn expect(origin: &str, tensor: &Named, expected: Vec<usize>) -> Result<()> {
    let found = tensor.shape.clone();
    let short = |shape: &[usize]| {
        let ones = shape.iter().skip(2).rev().take_while(|n| **n == 1).count();
        shape[..shape.len() - ones].to_vec()
    };
    match short(&found) == short(&expected) {
        true => Ok(()),
        false => Err(Error::TensorShape { origin: origin.to_owned(), tensor: tensor.name.clone(), expected, found }),
    }
}
