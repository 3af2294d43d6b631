//! From one floating-point type to another, fast enough for gigabytes.

use burn::tensor::{DType, DataError, Element, TensorData, bf16, f16};
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

/// Values that a thread takes at a time.
const PART: usize = 1 << 20;

/// Converts between floating-point types. f32 is the middle between any two others, as in torch.
pub(super) fn to_float(data: TensorData, dtype: DType) -> Result<TensorData, DataError> {
    match (data.dtype(), dtype) {
        (from, to) if from == to => Ok(data),
        (DType::F16, DType::F32) => widen::<f16>(&data),
        (DType::BF16, DType::F32) => widen::<bf16>(&data),
        (DType::F32, DType::F16) => narrow(&data, f16::ZERO),
        (DType::F32, DType::BF16) => narrow(&data, bf16::ZERO),
        (DType::F64, DType::F32) | (DType::F32, _) => data.try_cast(dtype),
        _ => to_float(to_float(data, DType::F32)?, dtype),
    }
}

/// Whether no value is NaN or infinite.
pub(super) fn is_finite(data: &TensorData) -> Result<bool, DataError> {
    Ok(match data.dtype() {
        DType::F64 => all(data.as_slice()?, |x: f64| x.is_finite()),
        DType::F32 => all(data.as_slice()?, |x: f32| x.is_finite()),
        DType::F16 => all(data.as_slice()?, |x: f16| x.is_finite()),
        DType::BF16 => all(data.as_slice()?, |x: bf16| x.is_finite()),
        _ => true,
    })
}

/// Without a branch for each value, so that the compiler makes vector instructions of it.
fn all<T: Copy + Sync>(values: &[T], good: impl Fn(T) -> bool + Sync) -> bool {
    let all_of = |values: &[T]| values.chunks(4096).all(|chunk| chunk.iter().fold(true, |all, x| all & good(*x)));
    values.par_chunks(PART).all(all_of)
}

fn widen<H: Element + Sync>(data: &TensorData) -> Result<TensorData, DataError>
where
    [H]: HalfFloatSliceExt,
{
    let values = data.as_slice::<H>()?;
    let mut wide = vec![0f32; values.len()];
    wide.par_chunks_mut(PART).zip(values.par_chunks(PART)).for_each(|(wide, values)| values.convert_to_f32_slice(wide));
    Ok(TensorData::new(wide, data.shape().clone()))
}

fn narrow<H: Element + Send>(data: &TensorData, zero: H) -> Result<TensorData, DataError>
where
    [H]: HalfFloatSliceExt,
{
    let values = data.as_slice::<f32>()?;
    let mut narrow = vec![zero; values.len()];
    let parts = narrow.par_chunks_mut(PART).zip(values.par_chunks(PART));
    parts.for_each(|(narrow, values)| narrow.convert_from_f32_slice(values));
    Ok(TensorData::new(narrow, data.shape().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_types_keeps_what_both_can_hold() {
        let types = [DType::F64, DType::F32, DType::F16, DType::BF16];
        let values = [0.0, -1.5, 0.25, 96.0];
        for from in types {
            for to in types {
                let data = TensorData::from(values).convert_dtype(from);
                let converted = to_float(data, to).expect("floats");
                assert_eq!(converted.dtype(), to);
                assert_eq!(converted.iter::<f64>().collect::<Vec<_>>(), values);
            }
        }
    }

    #[test]
    fn one_bad_value_among_many_is_found() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![1.0; 10_000];
            values[9_999] = bad;
            for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
                let data = TensorData::new(values.clone(), [100, 100]).convert_dtype(dtype);
                assert!(!is_finite(&data).expect("floats"), "{bad} {dtype:?}");
            }
        }
        assert!(is_finite(&TensorData::from([f32::MAX, f32::MIN_POSITIVE, -0.0])).expect("floats"));
    }
}
