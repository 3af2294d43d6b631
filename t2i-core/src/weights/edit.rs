//! Other names and other layouts for the same tensors, still unread.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Bytes;

use super::{Entry, Weights};
use crate::{Error, Result};

impl Weights {
    /// Gives every tensor the name that `new_name` makes of its own, and drops those for which it says `None`.
    ///
    /// # Errors
    /// If two tensors get one name.
    pub fn rename(self, new_name: impl Fn(&str) -> Option<String>) -> Result<Self> {
        self.replace(|old, entry| Ok(new_name(old).map(|name| (name, entry)).into_iter().collect()))
    }

    /// The tensors whose names start with `prefix`, under the rest of their names.
    pub fn under(&self, prefix: &str) -> Self {
        let named = self.tensors.range(prefix.to_owned()..).map_while(|(name, entry)| {
            let rest = name.strip_prefix(prefix)?;
            Some((rest.to_owned(), entry.clone()))
        });
        Self { origin: self.origin.clone(), tensors: named.collect() }
    }

    /// Puts any number of named entries into the place of each.
    pub(crate) fn replace(self, entries: impl Fn(&str, Entry) -> Result<Vec<(String, Entry)>>) -> Result<Self> {
        let mut weights = Self { origin: self.origin, tensors: BTreeMap::new() };
        for (old, entry) in self.tensors {
            for (name, entry) in entries(&old, entry)? {
                weights.insert(name, entry)?;
            }
        }
        Ok(weights)
    }

    pub(super) fn insert(&mut self, name: String, entry: Entry) -> Result<()> {
        match self.tensors.insert(name.clone(), entry) {
            None => Ok(()),
            Some(_) => Err(Error::DuplicateTensor { origin: self.origin.clone(), tensor: name }),
        }
    }
}

impl Entry {
    /// The `part`-th of `parts` equal groups of rows, or `None` if the rows do not divide so.
    pub(crate) fn rows(&self, part: usize, parts: usize) -> Option<Self> {
        let rows = self.shape.first().filter(|rows| *rows % parts == 0)? / parts;
        let mut shape = self.shape.clone();
        shape[0] = rows;
        let bytes = shape.iter().product::<usize>() * self.dtype.size();
        let read = self.read.clone();
        let read = Arc::new(move || Ok(Bytes::from_bytes_vec(read()?[part * bytes..(part + 1) * bytes].to_vec())));
        Some(Self { shape, dtype: self.dtype, read })
    }

    /// The transpose of a matrix, or `None` if the tensor is none.
    pub(crate) fn transposed(&self) -> Option<Self> {
        let &[rows, columns] = self.shape.as_slice() else {
            return None;
        };
        let (size, read) = (self.dtype.size(), self.read.clone());
        let read = Arc::new(move || Ok(Bytes::from_bytes_vec(transpose(&read()?, rows, columns, size))));
        Some(Self { shape: vec![columns, rows], dtype: self.dtype, read })
    }
}

fn transpose(bytes: &[u8], rows: usize, columns: usize, size: usize) -> Vec<u8> {
    let indices = (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
    indices.flat_map(|i| &bytes[i * size..(i + 1) * size]).copied().collect()
}

#[cfg(test)]
impl Weights {
    /// Tensors of which names, shapes and type are known, and no values.
    pub(crate) fn unreadable(shapes: BTreeMap<String, Vec<usize>>, dtype: burn::tensor::DType) -> Self {
        let entry = |shape| Entry { shape, dtype, read: Arc::new(|| Err(Error::corrupt("test", "no values"))) };
        let tensors = shapes.into_iter().map(|(name, shape)| (name, entry(shape))).collect();
        Self { origin: "test".to_owned(), tensors }
    }
}
