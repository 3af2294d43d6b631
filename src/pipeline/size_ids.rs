//! The sizes that XL is told beside the prompt. Section 2.2 of <https://arxiv.org/abs/2307.01952>

use burn::tensor::{Device, Tensor, TensorData};

use super::Pipeline;
use super::defaults::Settings;
use crate::{Request, Start};

/// The `time_ids` of the prompt and of the negative prompt. Each `[1, 6]`, or `[1, 5]` for the refiner.
pub(super) fn size_ids(pipeline: &Pipeline, request: &Request, settings: &Settings) -> (Tensor<2>, Tensor<2>) {
    let sizes = request.sizes;
    let own = (settings.height, settings.width);
    let (original, target) = (sizes.original.unwrap_or(own), sizes.target.unwrap_or(own));
    let negative_original = sizes.negative.original.unwrap_or(original);
    let negative_target = sizes.negative.target.unwrap_or(target);
    let device = &pipeline.device;
    if pipeline.wants_aesthetic_score {
        let positive = row(original, sizes.crop, &[sizes.aesthetic_score], device);
        let negative = row(negative_original, sizes.negative.crop, &[sizes.negative_aesthetic_score], device);
        return (positive, negative);
    }
    let positive = row(original, sizes.crop, &pair(target), device);
    let negative = match request.start {
        // diffusers' text-to-image tells the negative prompt another story only where it is whole ...
        Start::Noise if sizes.negative.original.is_some() && sizes.negative.target.is_some() => {
            row(negative_original, sizes.negative.crop, &pair(negative_target), device)
        }
        Start::Noise => positive.clone(),
        // ... and its other pipelines never have another crop.
        _ => row(negative_original, sizes.crop, &pair(negative_target), device),
    };
    (positive, negative)
}

fn pair((a, b): (usize, usize)) -> [f64; 2] {
    [a as f64, b as f64]
}

/// `[1, 4 + last]`
fn row(original: (usize, usize), crop: (usize, usize), last: &[f64], device: &Device) -> Tensor<2> {
    let values = [&pair(original), &pair(crop), last].concat();
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    let shape = [1, values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}
