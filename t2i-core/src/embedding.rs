//! Learned embeddings: words that were taught to a text encoder by textual inversion.
//! [Gal et al. 2022](https://arxiv.org/abs/2208.01618)

use std::path::Path;

use burn::tensor::{FloatDType, TensorData};

use crate::weights::{is_pickle, pickled_text};
use crate::{Error, Part, Result, Weights};

/// A word that was learned: what stands for it in prompts, and what the text encoders read in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedEmbedding {
    /// Where it came from, for error messages.
    pub origin: String,
    /// The word in prompts, such as `<birb-style>`.
    pub token: String,
    /// One entry for each text encoder.
    pub vectors: Vec<LearnedVectors>,
}

/// What one text encoder reads in place of a learned word.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedVectors {
    /// Which text encoder; `None` where the file does not say: the one of that width.
    pub encoder: Option<Part>,
    /// One or more vectors, in f32. `[vectors, dim]`
    pub values: TensorData,
}

impl LearnedEmbedding {
    /// Reads a file of one learned word, as diffusers (`learned_embeds.safetensors` or `.bin`), A1111 (`.pt`), kohya
    /// (`emb_params`) and trainers of XL (`clip_l` and `clip_g`) write it.
    ///
    /// The word is `token`; without it, what the file says; where it says nothing, the name of the file without its
    /// extension.
    ///
    /// # Errors
    /// If the file cannot be read or is corrupt, or holds no or several learned words, or something else beside one,
    /// or NaN or infinity.
    pub fn open(path: impl AsRef<Path>, token: Option<&str>) -> Result<Self> {
        let path = path.as_ref();
        let weights = Weights::open(path)?;
        let layout = Layout::of(path, &weights)?;
        let vectors = layout
            .tensors
            .iter()
            .map(|(encoder, name)| Ok(LearnedVectors { encoder: *encoder, values: read_vectors(&weights, name)? }));
        Ok(Self {
            origin: weights.origin().to_owned(),
            token: token.map_or(layout.token, str::to_owned),
            vectors: vectors.collect::<Result<_>>()?,
        })
    }

    /// Writes a file of the word as f32: for one text encoder that of diffusers, `{word: vectors}`, which A1111 and
    /// ComfyUI read, too; for those of XL `clip_l` and `clip_g`, where the name of the file is the word.
    ///
    /// # Errors
    /// If there are no vectors, or more than one entry for an encoder; if the file cannot be written, and what was
    /// there then stays as it was.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let named = |vectors: &LearnedVectors| match (self.vectors.len(), vectors.encoder) {
            (1, _) => Ok((self.token.clone(), without_one(&vectors.values))),
            (_, Some(Part::TextEncoder)) => Ok(("clip_l".to_owned(), vectors.values.clone())),
            (_, Some(Part::TextEncoder2)) => Ok(("clip_g".to_owned(), vectors.values.clone())),
            _ => Err(Error::corrupt(path, "the vectors of several text encoders must say which they are for")),
        };
        if self.vectors.is_empty() {
            return Err(Error::corrupt(path, "there are no vectors to write"));
        }
        let tensors = self.vectors.iter().map(named).collect::<Result<Vec<_>>>()?;
        let weights = Weights::from_data(&path.display().to_string(), tensors)?;
        weights.write(path, FloatDType::F32, &[("format", "pt")])
    }
}

/// diffusers' trainer writes a single vector as one, without a dimension for their number.
fn without_one(values: &TensorData) -> TensorData {
    match values.shape()[..] {
        [1, dim] => TensorData::from_bytes(values.bytes().clone(), [dim], values.dtype()),
        _ => values.clone(),
    }
}

/// Which tensors of a file are the vectors, and what the file calls the word.
struct Layout {
    token: String,
    tensors: Vec<(Option<Part>, String)>,
}

/// The tensors of A1111's format, and the number that it gave the placeholder.
const A1111: [&str; 2] = ["string_to_param.*", "string_to_token.*"];
/// The two text encoders of XL: trainers' names, and diffusers' older ones.
const XL: [(&str, Part); 4] = [
    ("clip_l", Part::TextEncoder),
    ("clip_g", Part::TextEncoder2),
    ("text_encoders_0", Part::TextEncoder),
    ("text_encoders_1", Part::TextEncoder2),
];

impl Layout {
    fn of(path: &Path, weights: &Weights) -> Result<Self> {
        let names: Vec<_> = weights.names().collect();
        let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let xl = |name: &&str| XL.iter().find(|(xl, _)| xl == name).map(|(_, part)| (Some(*part), (*name).to_owned()));
        let (token, mut tensors): (_, Vec<_>) = match names.as_slice() {
            [] => return Err(Error::corrupt(path, "holds no tensors")),
            names if names.contains(&A1111[0]) => {
                let name = is_pickle(path).then(|| pickled_text(path, "name")).flatten();
                (name.unwrap_or_else(stem), vec![(None, A1111[0].to_owned())])
            }
            names if names.contains(&"emb_params") => (stem(), vec![(None, "emb_params".to_owned())]),
            names if names.iter().any(|name| xl(name).is_some()) => (stem(), names.iter().filter_map(xl).collect()),
            [name] if looks_like_a_word(name) => ((*name).to_owned(), vec![(None, (*name).to_owned())]),
            _ => return Err(foreign(path, &names)),
        };
        // The first text encoder first, whatever its tensor is called.
        tensors.sort();
        let used = |name: &&str| tensors.iter().any(|(_, used)| used == name) || *name == A1111[1];
        let unused: Vec<_> = names.iter().filter(|name| !used(name)).map(|name| (*name).to_owned()).collect();
        match unused.is_empty() {
            true => Ok(Self { token, tensors }),
            false => Err(Error::UnusedTensors { origin: weights.origin().to_owned(), tensors: unused }),
        }
    }
}

/// In diffusers' format the tensor's name is the word; the names of weights end in a known way.
fn looks_like_a_word(name: &str) -> bool {
    const PARAMETERS: [&str; 6] = [".weight", ".bias", ".alpha", ":up", ":down", ".dora_scale"];
    !name.trim().is_empty() && !PARAMETERS.iter().any(|end| name.ends_with(end))
}

fn foreign(path: &Path, names: &[&str]) -> Error {
    let first = names[..names.len().min(3)].join(", ");
    let detail = format!("not a learned embedding of one word: its {} tensors are {first}, ...", names.len());
    Error::corrupt(path, detail)
}

/// Reads one vector, `[dim]`, or several, `[vectors, dim]`.
pub(crate) fn read_vectors(weights: &Weights, name: &str) -> Result<TensorData> {
    let data = weights.read_f32(name)?;
    let shape = match data.shape().to_vec().as_slice() {
        [dim] if *dim > 0 => [1, *dim],
        [vectors, dim] if *vectors > 0 && *dim > 0 => [*vectors, *dim],
        other => {
            let detail = format!("tensor `{name}` has shape {other:?}; learned vectors are [dim] or [vectors, dim]");
            return Err(Error::corrupt(weights.origin(), detail));
        }
    };
    let values: Vec<f32> = data.try_to_vec().map_err(|e| Error::corrupt(weights.origin(), e))?;
    Ok(TensorData::new(values, shape))
}
