//! What each step learns from.

use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use t2i_core::{Error, Result};

use super::{Frozen, Lesson, Picture};
use crate::step_noise;

/// What is said of a picture without a caption of its own, in the manner of Gal et al., appendix E; `{}` is the word.
pub const TEMPLATES: [&str; 8] = [
    "a photo of a {}",
    "a picture of a {}",
    "a rendering of a {}",
    "an image of the {}",
    "a close-up photo of a {}",
    "a photo of one {}",
    "the photo of a {}",
    "a depiction of a {}",
];

/// Pictures and what is said of them, a few at each step.
#[derive(Debug, Clone)]
pub struct Lessons {
    word: String,
    templates: Vec<String>,
    pictures: Vec<Shown>,
    prior: Option<Prior>,
    batch: usize,
    seed: u64,
}

#[derive(Debug, Clone)]
struct Shown {
    latent: Tensor<4>,
    caption: Option<String>,
}

/// Pictures of other things of the kind, so that the model does not forget what the kind is.
/// [Ruiz et al. 2022](https://arxiv.org/abs/2208.12242), section 3.2
#[derive(Debug, Clone)]
pub struct Prior {
    pictures: Vec<Shown>,
    prompt: String,
    weight: f64,
}

impl Prior {
    /// Pictures of which `prompt` is said if they have no caption, and how much they count beside those of the lesson.
    ///
    /// # Errors
    /// If there is no picture; if `weight` is negative or no number; if the pictures do not fit the codec.
    pub fn new(frozen: &Frozen, pictures: Vec<Picture>, prompt: &str, weight: f64) -> Result<Self> {
        if !(weight >= 0.0 && weight.is_finite()) {
            let expected = "a finite number, 0 or more".to_owned();
            return Err(Error::InvalidValue { field: "prior weight", value: weight.to_string(), expected });
        }
        Ok(Self { pictures: shown(frozen, pictures)?, prompt: prompt.to_owned(), weight })
    }
}

impl Lessons {
    /// `batch` of these pictures at each step, chosen by `seed`; what is said of them has `word` in place of `{}`.
    ///
    /// # Errors
    /// If there is no picture or no template, or the batch is 0; if the pictures do not fit the codec.
    pub fn new(
        frozen: &Frozen,
        pictures: Vec<Picture>,
        word: &str,
        templates: Vec<String>,
        batch: usize,
        seed: u64,
    ) -> Result<Self> {
        at_least_one("templates", templates.len())?;
        at_least_one("batch", batch)?;
        let pictures = shown(frozen, pictures)?;
        Ok(Self { word: word.to_owned(), templates, pictures, prior: None, batch, seed })
    }

    /// With pictures of other things of the kind, as many at each step.
    pub fn with_prior(mut self, prior: Prior) -> Self {
        self.prior = Some(prior);
        self
    }

    /// How many pictures a step sees.
    pub fn pictures_a_step(&self) -> usize {
        self.batch * if self.prior.is_some() { 2 } else { 1 }
    }

    /// The lesson of a step: the same whenever it is asked for.
    pub fn at(&self, frozen: &Frozen, step: u64) -> Lesson {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(step);
        let each = 1.0 / self.batch as f64;
        let mut latents = Vec::new();
        let (mut captions, mut weights) = (Vec::new(), vec![each; self.batch]);
        for _ in 0..self.batch {
            let shown = chosen(&self.pictures, &mut random);
            let caption = shown.caption.as_ref().unwrap_or_else(|| chosen(&self.templates, &mut random));
            captions.push(caption.replace("{}", &self.word));
            latents.push(shown.latent.clone());
        }
        if let Some(prior) = &self.prior {
            for _ in 0..self.batch {
                let shown = chosen(&prior.pictures, &mut random);
                captions.push(shown.caption.as_ref().unwrap_or(&prior.prompt).clone());
                latents.push(shown.latent.clone());
            }
            weights.resize(2 * self.batch, prior.weight * each);
        }
        let x0 = Tensor::cat(latents, 0);
        let eps = step_noise(self.seed, step, x0.dims(), frozen.device());
        let levels = frozen.levels().sample(captions.len(), &mut random);
        Lesson { x0, eps, levels, captions, weights }
    }
}

/// The latents of pictures, beside what is said of them.
fn shown(frozen: &Frozen, pictures: Vec<Picture>) -> Result<Vec<Shown>> {
    at_least_one("pictures", pictures.len())?;
    let shown = |picture: Picture| Ok(Shown { latent: frozen.encode(picture.pixels)?, caption: picture.caption });
    pictures.into_iter().map(shown).collect()
}

fn at_least_one(field: &'static str, count: usize) -> Result<()> {
    match count {
        0 => Err(Error::InvalidValue { field, value: "0".to_owned(), expected: "1 or more".to_owned() }),
        _ => Ok(()),
    }
}

fn chosen<'a, T>(of: &'a [T], random: &mut ChaCha8Rng) -> &'a T {
    of.choose(random).expect("there is at least one, by construction")
}
