//! What a run remembers, so that it can be saved in the middle and go on in another process, on another device.

mod bytes;

use std::collections::{BTreeMap, VecDeque};

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use t2i_core::{Error, Result};

use crate::Level;

/// A saved run: whole numbers and tensors by name, for any format that serde knows.
///
/// Floating-point numbers are kept as their bits, so that text formats give them back exactly.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Counters, flags and the bits of scalars.
    pub numbers: BTreeMap<String, u64>,
    /// Latents, and the insides of random generators.
    pub tensors: BTreeMap<String, TensorData>,
}

/// The pen that writes a [`State`], or the eye that reads one: a sampler shows its fields to it once, for both.
///
/// ```
/// use burn::tensor::Tensor;
/// use t2i_sched::{Denoise, Level, Memory, Sampler};
///
/// /// Goes by the mean of the last two answers.
/// #[derive(Default)]
/// struct Averaged {
///     before: Option<Tensor<4>>,
/// }
///
/// impl Sampler for Averaged {
///     fn step(&mut self, x: Tensor<4>, from: Level, to: Level, denoise: Denoise<'_>) -> Tensor<4> {
///         let x0 = denoise(x.clone(), from);
///         let before = self.before.replace(x0.clone()).unwrap_or(x0.clone());
///         from.advance(x, (x0 + before).mul_scalar(0.5), to)
///     }
///
///     fn remember(&mut self, memory: &mut Memory<'_>) {
///         memory.keep("before", &mut self.before);
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Memory<'a> {
    direction: Direction<'a>,
    prefix: String,
    failure: Option<Error>,
}

#[derive(Debug)]
enum Direction<'a> {
    Save(&'a mut State),
    Load(&'a State, &'a Device),
}

impl<'a> Memory<'a> {
    /// A memory that writes to `state`.
    pub fn saving(state: &'a mut State) -> Self {
        Self { direction: Direction::Save(state), prefix: String::new(), failure: None }
    }

    /// A memory that reads from `state`, and puts tensors on `device`.
    pub fn loading(state: &'a State, device: &'a Device) -> Self {
        Self { direction: Direction::Load(state, device), prefix: String::new(), failure: None }
    }

    /// Saves `value` under `name`, or gives it what was saved there.
    pub fn keep<T: Keep>(&mut self, name: &str, value: &mut T) {
        let name = format!("{}{name}", self.prefix);
        match &mut self.direction {
            Direction::Save(state) => value.save(&name, state),
            Direction::Load(state, device) => match T::load(&name, state, device) {
                Ok(saved) => *value = saved,
                Err(error) => _ = self.failure.get_or_insert(error),
            },
        }
    }

    /// Shows the fields of a part, under the part's name.
    pub fn part(&mut self, name: &str, show: impl FnOnce(&mut Self)) {
        let outer = self.prefix.clone();
        self.prefix.push_str(name);
        self.prefix.push('.');
        show(self);
        self.prefix = outer;
    }

    /// Whether all that was asked for was there.
    ///
    /// # Errors
    /// If the state lacks something: it is of another sampler.
    pub fn finish(self) -> Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// What a [`State`] can hold.
pub trait Keep: Sized {
    /// Writes the value under `name`.
    fn save(&self, name: &str, state: &mut State);

    /// Reads the value of `name`.
    ///
    /// # Errors
    /// If the state does not have it.
    fn load(name: &str, state: &State, device: &Device) -> Result<Self>;
}

impl Keep for u64 {
    fn save(&self, name: &str, state: &mut State) {
        state.numbers.insert(name.to_owned(), *self);
    }

    fn load(name: &str, state: &State, _: &Device) -> Result<Self> {
        state.numbers.get(name).copied().ok_or_else(|| missing(name))
    }
}

impl Keep for usize {
    fn save(&self, name: &str, state: &mut State) {
        (*self as u64).save(name, state);
    }

    fn load(name: &str, state: &State, device: &Device) -> Result<Self> {
        Ok(u64::load(name, state, device)? as usize)
    }
}

impl Keep for bool {
    fn save(&self, name: &str, state: &mut State) {
        u64::from(*self).save(name, state);
    }

    fn load(name: &str, state: &State, device: &Device) -> Result<Self> {
        Ok(u64::load(name, state, device)? != 0)
    }
}

impl Keep for f64 {
    fn save(&self, name: &str, state: &mut State) {
        self.to_bits().save(name, state);
    }

    fn load(name: &str, state: &State, device: &Device) -> Result<Self> {
        u64::load(name, state, device).map(Self::from_bits)
    }
}

impl Keep for Level {
    fn save(&self, name: &str, state: &mut State) {
        (self.alpha, self.sigma).save(name, state);
    }

    fn load(name: &str, state: &State, device: &Device) -> Result<Self> {
        let (alpha, sigma) = Keep::load(name, state, device)?;
        Ok(Self { alpha, sigma })
    }
}

impl<const D: usize> Keep for Tensor<D> {
    fn save(&self, name: &str, state: &mut State) {
        state.tensors.insert(name.to_owned(), self.to_data());
    }

    fn load(name: &str, state: &State, device: &Device) -> Result<Self> {
        match state.tensors.get(name) {
            Some(data) if data.shape().to_vec().len() == D => Ok(Self::from_data(data.clone(), (device, data.dtype()))),
            _ => Err(missing(name)),
        }
    }
}

/// Plain numbers of the host, as of a generator.
impl Keep for Vec<u32> {
    fn save(&self, name: &str, state: &mut State) {
        let bits: Vec<i32> = self.iter().map(|word| word.cast_signed()).collect();
        state.tensors.insert(name.to_owned(), TensorData::new(bits, [self.len()]));
    }

    fn load(name: &str, state: &State, _: &Device) -> Result<Self> {
        let data = state.tensors.get(name).ok_or_else(|| missing(name))?;
        let bits = data.clone().try_into_vec::<i32>().map_err(|_| missing(name))?;
        Ok(bits.into_iter().map(i32::cast_unsigned).collect())
    }
}

impl<T: Keep> Keep for Option<T> {
    fn save(&self, name: &str, state: &mut State) {
        self.is_some().save(&format!("{name}.some"), state);
        if let Some(value) = self {
            value.save(name, state);
        }
    }

    fn load(name: &str, state: &State, device: &Device) -> Result<Self> {
        let some = bool::load(&format!("{name}.some"), state, device)?;
        some.then(|| T::load(name, state, device)).transpose()
    }
}

impl<A: Keep, B: Keep> Keep for (A, B) {
    fn save(&self, name: &str, state: &mut State) {
        self.0.save(&format!("{name}.0"), state);
        self.1.save(&format!("{name}.1"), state);
    }

    fn load(name: &str, state: &State, device: &Device) -> Result<Self> {
        Ok((A::load(&format!("{name}.0"), state, device)?, B::load(&format!("{name}.1"), state, device)?))
    }
}

impl<T: Keep> Keep for VecDeque<T> {
    fn save(&self, name: &str, state: &mut State) {
        self.len().save(&format!("{name}.len"), state);
        self.iter().enumerate().for_each(|(i, item)| item.save(&format!("{name}.{i}"), state));
    }

    fn load(name: &str, state: &State, device: &Device) -> Result<Self> {
        let len = usize::load(&format!("{name}.len"), state, device)?;
        (0..len).map(|i| T::load(&format!("{name}.{i}"), state, device)).collect()
    }
}

fn missing(name: &str) -> Error {
    Error::MissingPart { path: "the saved run".into(), what: format!("`{name}` of this sampler") }
}
