//! The types in which weights are kept. All arithmetic is in f32.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// A number that a weight is kept as: of 32 bits, or a half, which is widened where it is used.
pub trait Number: Copy + Send + Sync + Into<f32> {
    /// Writes all of `from` to `to`.
    ///
    /// # Panics
    ///
    /// If they are not as many.
    fn widen(from: &[Self], to: &mut [f32]);

    /// The numbers themselves, if they have 32 bits.
    fn as_f32(numbers: &[Self]) -> Option<&[f32]>;

    /// All of `from` as they are, or else in `memory`.
    ///
    /// # Panics
    ///
    /// If `memory` is too short.
    fn widened<'a>(from: &'a [Self], memory: &'a mut [f32]) -> &'a [f32] {
        Self::as_f32(from).unwrap_or_else(|| {
            let to = &mut memory[..from.len()];
            Self::widen(from, to);
            to
        })
    }
}

impl Number for f32 {
    fn widen(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }

    fn as_f32(numbers: &[f32]) -> Option<&[f32]> {
        Some(numbers)
    }
}

impl Number for f16 {
    fn widen(from: &[f16], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }

    fn as_f32(_: &[f16]) -> Option<&[f32]> {
        None
    }
}

impl Number for bf16 {
    fn widen(from: &[bf16], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }

    fn as_f32(_: &[bf16]) -> Option<&[f32]> {
        None
    }
}
