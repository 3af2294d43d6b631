//! Textual inversion: a new word, read as vectors that are learned.
//! [Gal et al. 2022](https://arxiv.org/abs/2208.01618), section 4

use burn::module::{Module, Param};
use burn::tensor::{DType, Int, Tensor, TensorData};

use t2i::TextEncoder;
use t2i_core::{Error, LearnedEmbedding, LearnedVectors, Result};
use t2i_text::TextOutput;
use t2i_unet::UNet;

use super::{Frozen, Learner};

/// The vectors that a new word is read as, for each text encoder.
#[derive(Module, Debug)]
pub struct Word {
    /// In the order of the encoders; the second of XL comes last. `[vectors, dim]`
    vectors: Vec<Param<Tensor<2>>>,
    #[module(skip)]
    token: String,
    /// The first id of the word, for each encoder.
    #[module(skip)]
    first: Vec<u32>,
}

impl Word {
    /// Adds the word `token`, of so many vectors, to the vocabulary of a model. The vectors begin as those of
    /// `initial`, a word that the model knows, or as the mean of all.
    ///
    /// # Errors
    /// If the word exists, or a prompt reads it as one token already; if there are no vectors; if `initial` is not one
    /// token of each encoder.
    pub fn new(frozen: &mut Frozen, token: &str, vectors: usize, initial: Option<&str>) -> Result<Self> {
        let device = frozen.device().clone();
        let mut word = Self { vectors: Vec::new(), token: token.to_owned(), first: Vec::new() };
        for encoder in frozen.encoders_mut() {
            check_new(encoder, token)?;
            let start = initial_vector(encoder, initial)?;
            word.first.push(encoder.tokenizer.add_word(token, vectors)?);
            let start = Tensor::<1>::from_data(TensorData::from(start.as_slice()), (&device, DType::F32));
            word.vectors.push(Param::from_tensor(start.unsqueeze::<2>().repeat_dim(0, vectors)));
        }
        Ok(word)
    }

    /// What has been learned so far.
    pub fn embedding(&self, frozen: &Frozen) -> LearnedEmbedding {
        let several = frozen.encoders().len() > 1;
        let vectors = self.vectors.iter().zip(frozen.encoders()).map(|(vectors, encoder)| LearnedVectors {
            encoder: several.then(|| encoder.part()),
            values: vectors.val().inner().into_data(),
        });
        LearnedEmbedding { origin: self.token.clone(), token: self.token.clone(), vectors: vectors.collect() }
    }
}

impl Learner for Word {
    fn read(&self, encoder: &TextEncoder, ids: Tensor<2, Int>) -> TextOutput {
        // The one encoder of Stable Diffusion, the first of XL's, or its second.
        let i = if encoder.is_second { self.vectors.len() - 1 } else { 0 };
        encoder.model.forward_with(ids, self.first[i], self.vectors[i].val())
    }

    fn unet(&self, unet: &UNet) -> UNet {
        unet.clone()
    }
}

/// To learn another meaning of a word that the model knows would take the old one away.
fn check_new(encoder: &TextEncoder, token: &str) -> Result<()> {
    match encoder.tokenizer.encode(token)[..] {
        [_, _, _] => Err(Error::InvalidValue {
            field: "token",
            value: format!("`{token}`"),
            expected: "a word that the model does not know, as `<name>`".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The vector of a known word, or the mean of all words.
fn initial_vector(encoder: &TextEncoder, word: Option<&str>) -> Result<Vec<f32>> {
    let Some(word) = word else {
        return Ok(encoder.model.mean_embedding());
    };
    match encoder.tokenizer.encode(word)[..] {
        [_, id, _] => encoder.model.embedding(id),
        ref ids => Err(Error::InvalidValue {
            field: "initial token",
            value: format!("`{word}`, which is {} tokens", ids.len().saturating_sub(2)),
            expected: "a word that the tokenizer has as one token".to_owned(),
        }),
    }
}
