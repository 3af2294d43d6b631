//! What a whole picture costs, from prompt to pixels, in a few steps: `cargo bench --bench picture`. A run of more steps
//! costs as many steps of `unet` more. `common` says how to choose device and type.
#![allow(missing_docs, reason = "a program")]

mod common;

use divan::{AllocProfiler, Bencher};
use serde_json::json;
use t2i::core::{Family, Options};
use t2i::prelude::*;
use t2i::text::{ClipTextConfig, Tokenizer};
use t2i::unet::UNetConfig;
use t2i::vae::{AutoencoderKlConfig, CodecConfig};
use t2i::{Parts, TextEncoder};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() -> std::process::ExitCode {
    common::main()
}

#[divan::bench(args = [256, 512], sample_count = 1, sample_size = 1)]
fn sd15_2_steps(bencher: Bencher<'_, '_>, side: usize) {
    let pipeline = Pipeline::from_parts(parts(), &common::device()).expect("the parts of one model");
    let request =
        Request { steps: Some(2), width: Some(side), height: Some(side), ..Request::new("a lighthouse at night") };
    // No warm-up: a picture takes seconds.
    bencher.bench_local(|| pipeline.generate(&request).expect("finite pixels").pixels.into_data());
}

fn parts() -> Parts {
    let device = common::device();
    let codec = CodecConfig::Kl(AutoencoderKlConfig::sd());
    Parts {
        text_encoders: vec![TextEncoder {
            tokenizer: Tokenizer::built_in(),
            model: common::random_weights(ClipTextConfig::clip_l().init(&device)),
            is_second: false,
        }],
        unet: common::random_weights(UNetConfig::sd15().init(&device)),
        codec: common::random_weights(codec.init(&device)),
        scheduler: scheduler(),
        family: Family::Sd1,
        zeros_for_no_negative: false,
        wants_aesthetic_score: false,
    }
}

fn scheduler() -> SchedulerConfig {
    let json = json!({
        "_class_name": "EulerDiscreteScheduler",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
    });
    let options = Options::from_json("scheduler_config.json", json).expect("an object");
    SchedulerConfig::from_options(options).expect("every option is known")
}
