//! Words that were learned together with a LoRA, and stand in the same file.

use std::path::Path;

use crate::embedding::read_vectors;
use crate::weights::{is_pickle, metadata};
use crate::{LearnedEmbedding, LearnedVectors, Part, Result, Weights};

/// A tensor that holds vectors of a word.
pub(super) struct Word {
    pub(super) tensor: String,
    token: String,
    encoder: Option<Part>,
}

/// How A1111 marks the embeddings that it bundles with a LoRA, and for which text encoder each is.
const BUNDLED: &str = "bundle_emb.";
const ENCODERS: [(&str, Option<Part>); 4] = [
    (".string_to_param.*", None),
    (".emb_params", None),
    (".clip_l", Some(Part::TextEncoder)),
    (".clip_g", Some(Part::TextEncoder2)),
];

/// The words of a file: cloneofsimo's trainer names them in the metadata, A1111 in the names of the tensors.
pub(super) fn find(path: &Path, weights: &Weights) -> Result<Vec<Word>> {
    let marks = if is_pickle(path) { Default::default() } else { metadata(path)? };
    let word = |name: &str| match marks.get(name) {
        Some(mark) if mark == "<embed>" => {
            Some(Word { tensor: name.to_owned(), token: name.to_owned(), encoder: None })
        }
        _ => bundled(name),
    };
    Ok(weights.names().filter_map(word).collect())
}

fn bundled(name: &str) -> Option<Word> {
    let rest = name.strip_prefix(BUNDLED)?;
    ENCODERS.iter().find_map(|(end, encoder)| {
        let token = rest.strip_suffix(end)?.to_owned();
        Some(Word { tensor: name.to_owned(), token, encoder: *encoder })
    })
}

/// Reads the vectors. The tensors of one word stand next to each other, because names are sorted.
pub(super) fn read(weights: &Weights, words: &[Word]) -> Result<Vec<LearnedEmbedding>> {
    let mut embeddings: Vec<LearnedEmbedding> = Vec::new();
    for word in words {
        let vectors = LearnedVectors { encoder: word.encoder, values: read_vectors(weights, &word.tensor)? };
        match embeddings.last_mut().filter(|last| last.token == word.token) {
            Some(last) => last.vectors.push(vectors),
            None => embeddings.push(LearnedEmbedding {
                origin: weights.origin().to_owned(),
                token: word.token.clone(),
                vectors: vec![vectors],
            }),
        }
    }
    Ok(embeddings)
}
