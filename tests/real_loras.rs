//! LoRAs and learned embeddings that people trained and published, against a model of full size: each tensor finds its
//! layer. The files are not part of the repository; where they are absent, the tests say so and pass.

mod support;

use std::path::{Path, PathBuf};

use support::device;
use t2i::core::Part;
use t2i::text::ClipTextConfig;
use t2i::unet::UNetConfig;
use t2i::{LearnedEmbedding, Lora};

/// A file of the reference data beside the repository.
fn reference(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference/weights").join(file);
    if !path.exists() {
        eprintln!("skipped: no {}", path.display());
    }
    path.exists().then_some(path)
}

/// Weights that are never used are never made: a network of full size costs nothing here.
#[track_caller]
fn check(file: &str, parts: &[Part], words: usize) {
    let Some(path) = reference(file) else {
        return;
    };
    let lora = Lora::open(path).expect("a LoRA");
    assert_eq!(lora.parts().into_iter().collect::<Vec<_>>(), parts);
    assert_eq!(lora.embeddings().len(), words);
    lora.check(Part::Unet, &UNetConfig::sd15().init(&device())).expect("every tensor finds its layer");
    lora.check(Part::TextEncoder, &ClipTextConfig::clip_l().init(&device())).expect("every tensor finds its layer");
    if lora.parts().contains(&Part::Unet) {
        let error =
            lora.check(Part::Unet, &UNetConfig::sdxl().init(&device())).expect_err("another family").to_string();
        assert!(error.contains("tensor `"), "{error}");
    }
}

#[test]
fn a_list_of_cloneofsimo() {
    check("lora/analog_svd_rank4.safetensors", &[Part::TextEncoder, Part::Unet], 0);
}

#[test]
fn a_list_with_two_words() {
    check("lora/lora_disney.safetensors", &[Part::TextEncoder, Part::Unet], 2);
}

#[test]
fn attention_processors_of_diffusers() {
    check("lora/catundchat.safetensors", &[Part::Unet], 0);
}

#[test]
fn a_learned_word() {
    if let Some(path) = reference("textual_inversion/learned_embeds.bin") {
        let embedding = LearnedEmbedding::open(path, None).expect("a learned word");
        assert_eq!(embedding.token, "<birb-style>");
        assert_eq!(embedding.vectors[0].values.shape()[..], [1, 768]);
    }
}
