//! Embeddings of words that were learned.

use burn::module::Param;
use burn::tensor::{DType, Int, Tensor, TensorData};
use t2i_core::{Error, Result};

use super::{ClipTextModel, TextOutput};

impl ClipTextModel {
    /// Gives the ids from `first` on embeddings of their own. They follow the vocabulary, or are within it.
    ///
    /// # Shapes
    /// - vectors: `[ids, dim]`
    ///
    /// # Errors
    /// If the vectors have another width than the encoder's tokens, hold NaN or infinity in the type of the weights,
    /// or leave a gap behind the vocabulary.
    pub fn with_embeddings(mut self, first: u32, vectors: &TensorData) -> Result<Self> {
        let (ids, dim) = self.check_vectors(first, vectors)?;
        let first = first as usize;
        let embedding = &mut self.text_model.embeddings.token_embedding;
        let old = embedding.weight.val();
        let vectors = Tensor::<2>::from_data(vectors.clone(), (&old.device(), DType::F32)).cast(old.dtype());
        let rows = old.dims()[0];
        let keep = |from: usize, to: usize| (from < to).then(|| old.clone().slice([from..to, 0..dim]));
        let weight = [keep(0, first), Some(vectors), keep(first + ids, rows)];
        let weight = Tensor::cat(weight.into_iter().flatten().collect(), 0);
        if !weight.clone().is_finite().all().into_scalar::<bool>() {
            return Err(wrong(format!("NaN or infinity as {:?}", weight.dtype()), "finite".to_owned()));
        }
        let required = embedding.weight.is_require_grad();
        embedding.weight = Param::initialized(embedding.weight.id, weight.detach()).set_require_grad(required);
        Ok(self)
    }

    /// As [`forward`](Self::forward), with `vectors` in the place of the embeddings of the ids `first`, `first + 1` and so
    /// on, which need not be in the vocabulary. Gradients flow to the vectors.
    ///
    /// # Shapes
    /// - ids: `[batch, tokens]`
    /// - vectors: `[learned ids, dim]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward), and if the vectors have another width than the encoder.
    pub fn forward_with(&self, ids: Tensor<2, Int>, first: u32, vectors: Tensor<2>) -> TextOutput {
        let ([batch, tokens], [learned, dim]) = (ids.dims(), vectors.dims());
        let device = ids.device();
        let numbers = Tensor::<1, Int>::arange(0..learned as i64, &device) + i64::from(first);
        let shape = [batch, tokens, learned];
        let is = ids.clone().unsqueeze_dim::<3>(2).expand(shape).equal(numbers.unsqueeze::<3>().expand(shape));
        let is = is.float().cast(self.dtype());
        // [batch, tokens, learned]: 1 where a learned id stands
        let known = ids.clone().lower_elem(first).float().cast(self.dtype()).unsqueeze_dim::<3>(2);
        let others = self.text_model.embeddings.token_embedding.forward(ids.clone().clamp_max(i64::from(first) - 1));
        let words = is.matmul(vectors.cast(self.dtype()).unsqueeze::<3>().expand([batch, learned, dim]));
        self.layers(ids, others.cast(self.dtype()) * known + words)
    }

    /// What an id is read as, in f32.
    ///
    /// # Errors
    /// If the vocabulary does not have it.
    pub fn embedding(&self, id: u32) -> Result<Vec<f32>> {
        self.check_ids(&[id])?;
        let table = self.text_model.embeddings.token_embedding.weight.val().inner();
        Ok(values(table.slice_dim(0, id as usize..id as usize + 1)))
    }

    /// The mean of what all ids are read as, in f32.
    pub fn mean_embedding(&self) -> Vec<f32> {
        values(self.text_model.embeddings.token_embedding.weight.val().inner().cast(DType::F32).mean_dim(0))
    }

    /// The number of vectors and their width.
    fn check_vectors(&self, first: u32, vectors: &TensorData) -> Result<(usize, usize)> {
        let &[ids, dim] = &vectors.shape()[..] else {
            return Err(wrong(format!("of shape {:?}", vectors.shape()), "[vectors, dim]".to_owned()));
        };
        if dim != self.dim() {
            let expected = format!("{} values wide, as the tokens of the text encoder are", self.dim());
            return Err(wrong(format!("{dim} values wide"), expected));
        }
        if first as usize > self.vocab_size() {
            let expected = format!("for ids that follow the {} of the text encoder", self.vocab_size());
            return Err(wrong(format!("for id {first}"), expected));
        }
        Ok((ids, dim))
    }
}

fn values(row: Tensor<2>) -> Vec<f32> {
    row.cast(DType::F32).into_data().iter().collect()
}

fn wrong(value: String, expected: String) -> Error {
    Error::InvalidValue { field: "learned embedding", value, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClipTextConfig;
    use burn::tensor::Device;

    fn encoder() -> ClipTextModel {
        let config = ClipTextConfig {
            vocab_size: 5,
            hidden_size: 4,
            intermediate_size: 8,
            layers: 1,
            heads: 2,
            ..ClipTextConfig::clip_l()
        };
        config.init(&Device::flex())
    }

    fn vectors() -> TensorData {
        TensorData::from([[1f32, 2., 3., 4.], [5., 6., 7., 8.]])
    }

    fn row(encoder: &ClipTextModel, id: i64) -> TensorData {
        let id = Tensor::<2, Int>::from_data([[id]], &Device::flex());
        encoder.text_model.embeddings.token_embedding.forward(id).reshape([4]).into_data()
    }

    #[test]
    fn ids_behind_the_vocabulary_and_within_it_get_their_vectors() {
        let old = encoder();
        for (first, size) in [(5, 7), (4, 6), (1, 5), (3, 5), (0, 5)] {
            let encoder = old.clone().with_embeddings(first, &vectors()).expect("good");
            assert_eq!(encoder.vocab_size(), size);
            assert_eq!(row(&encoder, first.into()), TensorData::from([1f32, 2., 3., 4.]));
            assert_eq!(row(&encoder, i64::from(first) + 1), TensorData::from([5f32, 6., 7., 8.]));
            let others = (0..5).filter(|id| !(first..first + 2).contains(id)).map(i64::from);
            others.for_each(|id| assert_eq!(row(&encoder, id), row(&old, id)));
            let ids = vec![vec![0, size as u32 - 1]];
            assert!(encoder.encode(&ids, &Device::flex()).is_ok());
            assert!(encoder.encode(&[vec![size as u32]], &Device::flex()).is_err());
        }
    }

    #[test]
    fn vectors_under_training_read_as_those_of_the_vocabulary() {
        let encoder = encoder();
        let ids = Tensor::<2, Int>::from_data([[0i64, 5, 1, 6, 4]], &Device::flex());
        let grown = encoder.clone().with_embeddings(5, &vectors()).expect("good").forward(ids.clone());
        let beside = encoder.forward_with(ids, 5, Tensor::from_data(vectors(), &Device::flex()));
        let difference = (grown.last_hidden_state - beside.last_hidden_state).abs().max().into_scalar::<f32>();
        assert!(difference <= 1e-6, "{difference}");
        assert_eq!(encoder.embedding(2).expect("known"), row(&encoder, 2).try_to_vec::<f32>().expect("f32"));
        assert!(encoder.embedding(5).is_err());
        let mean: f32 = (0..5).map(|id| encoder.embedding(id).expect("known")[1]).sum::<f32>() / 5.0;
        assert!((encoder.mean_embedding()[1] - mean).abs() < 1e-6);
    }

    #[test]
    fn vectors_that_do_not_fit_are_refused() {
        let error = |first, data: TensorData| encoder().with_embeddings(first, &data).expect_err("wrong").to_string();
        assert!(error(5, TensorData::from([[1f32, 2.]])).contains("4 values wide"));
        assert!(error(6, vectors()).contains("for id 6"));
        assert!(error(5, TensorData::from([[f32::NAN, 1., 1., 1.]])).contains("NaN"));
        assert!(error(5, TensorData::from([1f32])).contains("[vectors, dim]"));
    }
}
