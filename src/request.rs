//! What a user asks a pipeline for.

use burn::tensor::Tensor;

use t2i_core::{Error, Result};

/// What a picture starts from.
#[derive(Debug, Clone, Default)]
pub enum Start {
    /// Noise alone: text-to-image.
    #[default]
    Noise,
    /// A picture with noise on top: image-to-image.
    Image {
        /// Pixels in [-1, 1]. `[1 or images, 3, height, width]`
        image: Tensor<4>,
    },
    /// A picture of which a part is made anew: inpainting.
    Inpaint {
        /// Pixels in [-1, 1]. `[1, 3, height, width]`
        image: Tensor<4>,
        /// 1 where the picture is made anew, 0 where it stays. `[1, 1, height, width]`
        mask: Tensor<4>,
    },
    /// A latent that another model left unfinished, at the noise level where it stopped: base + refiner.
    Latent {
        /// The other model's latent. `[images, 4, height / 8, width / 8]`
        latent: Tensor<4>,
    },
}

/// Prompts as the text encoders leave them.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// `[prompts, tokens, dim]`
    pub context: Tensor<3>,
    /// The pooled projection of the last encoder, XL only. `[prompts, dim]`
    pub pooled: Option<Tensor<2>>,
}

/// Sizes that Stable Diffusion XL is told beside the prompt (section 2.2 of <https://arxiv.org/abs/2307.01952>).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeConditioning {
    /// (height, width) of the picture that the training sample was cut from; the picture's own by default.
    pub original: Option<(usize, usize)>,
    /// (top, left) of the cut.
    pub crop: (usize, usize),
    /// (height, width) that the sample was cut to; the picture's own by default.
    pub target: Option<(usize, usize)>,
    /// What the negative prompt is told of sizes, where it is told another story.
    pub negative: NegativeSizes,
    /// The score that the refiner is told for the prompt.
    pub aesthetic_score: f64,
    /// The score that the refiner is told for the negative prompt.
    pub negative_aesthetic_score: f64,
}

/// The sizes of [`SizeConditioning`] for the negative prompt; those of the prompt by default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NegativeSizes {
    /// (height, width)
    pub original: Option<(usize, usize)>,
    /// (top, left), where `original` and `target` are given too.
    pub crop: (usize, usize),
    /// (height, width)
    pub target: Option<(usize, usize)>,
}

/// The values of diffusers' XL pipelines.
impl Default for SizeConditioning {
    fn default() -> Self {
        Self {
            original: None,
            crop: (0, 0),
            target: None,
            negative: NegativeSizes::default(),
            aesthetic_score: 6.0,
            negative_aesthetic_score: 2.5,
        }
    }
}

/// One call of a pipeline. `None` stands for the model's own default, which is the one of its diffusers pipeline.
///
/// ```
/// use t2i::prelude::*;
/// let request = Request { steps: Some(20), seeds: vec![42], ..Request::new("a lighthouse at night") };
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    /// One prompt a picture, times [`images_per_prompt`](Self::images_per_prompt).
    pub prompts: Vec<String>,
    /// What the pictures should not show: none, one for all prompts, or one for each.
    pub negative_prompts: Vec<String>,
    /// What the second text encoder of XL is told instead of the prompts: nothing else, one, or one for each.
    pub second_prompts: Vec<String>,
    /// What the second text encoder of XL is told instead of the negative prompts: nothing else, one, or one for each.
    pub second_negative_prompts: Vec<String>,
    /// Encoded prompts in place of the prompts, as many rows as there are prompts to stand for.
    pub encoded: Option<Encoded>,
    /// Encoded negative prompts in place of the negative prompts, as many rows as there are prompts.
    pub encoded_negative: Option<Encoded>,
    /// Pictures made of each prompt.
    pub images_per_prompt: usize,
    /// One seed makes the noise of all pictures in one draw, as `torch.Generator().manual_seed(seed)` does;
    /// as many as there are pictures give each its own generator.
    pub seeds: Vec<u64>,
    /// Noise of unit variance in place of the seeded first draw. `[images, 4, height / 8, width / 8]`
    pub noise: Option<Tensor<4>>,
    /// Steps of the sampler, before [`strength`](Self::strength) shortens them.
    pub steps: Option<usize>,
    /// Scale of classifier-free guidance; 1 and below turn it off (<https://arxiv.org/abs/2207.12598>).
    pub guidance: Option<f64>,
    /// How far guidance is scaled back to the spread of the prompt's prediction, 0 to 1
    /// (section 3.4 of <https://arxiv.org/abs/2305.08891>).
    pub guidance_rescale: f64,
    /// Noise that DDIM puts back, from 0 (none) to 1 (as much as DDPM). Other samplers have no such choice.
    pub eta: f64,
    /// In pixels; the model's own by default, or that of the picture it starts from.
    pub width: Option<usize>,
    /// In pixels; the model's own by default, or that of the picture it starts from.
    pub height: Option<usize>,
    /// What the picture starts from.
    pub start: Start,
    /// How much of the starting picture is forgotten, in (0, 1].
    pub strength: Option<f64>,
    /// Layers of the text encoder left out at its end.
    pub clip_skip: Option<usize>,
    /// What XL is told about sizes.
    pub sizes: SizeConditioning,
    /// The share of the noise schedule where this model takes over, in (0, 1).
    pub denoising_start: Option<f64>,
    /// The share of the noise schedule where this model stops, in (0, 1).
    pub denoising_end: Option<f64>,
}

impl Request {
    /// One picture of a prompt, with the model's defaults.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self {
            prompts: vec![prompt.into()],
            negative_prompts: Vec::new(),
            second_prompts: Vec::new(),
            second_negative_prompts: Vec::new(),
            encoded: None,
            encoded_negative: None,
            images_per_prompt: 1,
            seeds: vec![0],
            noise: None,
            steps: None,
            guidance: None,
            guidance_rescale: 0.0,
            eta: 0.0,
            width: None,
            height: None,
            start: Start::default(),
            strength: None,
            clip_skip: None,
            sizes: SizeConditioning::default(),
            denoising_start: None,
            denoising_end: None,
        }
    }

    /// The number of pictures.
    pub fn images(&self) -> usize {
        self.prompt_count() * self.images_per_prompt
    }

    /// The number of prompts.
    pub(crate) fn prompt_count(&self) -> usize {
        self.encoded.as_ref().map_or(self.prompts.len(), |encoded| encoded.context.dims()[0])
    }

    /// Checks what can be checked without a model.
    ///
    /// # Errors
    /// Names the field and what it must be.
    pub(crate) fn check(&self) -> Result<()> {
        at_least_one("prompts", self.prompt_count())?;
        at_least_one("images_per_prompt", self.images_per_prompt)?;
        if let Some(steps) = self.steps {
            at_least_one("steps", steps)?;
        }
        one_or_each("seeds", self.seeds.len(), self.images())?;
        for (field, given) in [
            ("negative_prompts", &self.negative_prompts),
            ("second_prompts", &self.second_prompts),
            ("second_negative_prompts", &self.second_negative_prompts),
        ] {
            if !given.is_empty() {
                one_or_each(field, given.len(), self.prompt_count())?;
            }
        }
        if let Some(negative) = &self.encoded_negative {
            one_or_each("encoded_negative", negative.context.dims()[0], self.prompt_count())?;
        }
        within("strength", self.strength, |s| s > 0.0 && s <= 1.0, "above 0 and at most 1")?;
        within("guidance", self.guidance, f64::is_finite, "a finite number")?;
        within("guidance_rescale", Some(self.guidance_rescale), |r| (0.0..=1.0).contains(&r), "between 0 and 1")?;
        within("eta", Some(self.eta), |e| (0.0..=1.0).contains(&e), "between 0 and 1")?;
        within("denoising_start", self.denoising_start, |d| d > 0.0 && d < 1.0, "above 0 and below 1")?;
        within("denoising_end", self.denoising_end, |d| d > 0.0 && d < 1.0, "above 0 and below 1")?;
        self.check_hand_over()
    }

    fn check_hand_over(&self) -> Result<()> {
        let expected = match (self.denoising_start, self.denoising_end, &self.start) {
            (Some(start), Some(end), _) if start >= end => format!("below denoising_end, which is {end}"),
            (Some(_), _, Start::Noise) => "absent where the picture starts from noise".to_owned(),
            (None, _, Start::Latent { .. }) => "given where the picture starts from a latent".to_owned(),
            _ => return Ok(()),
        };
        let value = self.denoising_start.map_or("absent".to_owned(), |d| d.to_string());
        Err(Error::InvalidValue { field: "denoising_start", value, expected })
    }
}

fn at_least_one(field: &'static str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::InvalidValue { field, value: "0".to_owned(), expected: "at least 1".to_owned() }),
        _ => Ok(()),
    }
}

fn one_or_each(field: &'static str, given: usize, each: usize) -> Result<()> {
    match given == 1 || given == each {
        true => Ok(()),
        false => Err(Error::InvalidValue {
            field,
            value: format!("{given} values"),
            expected: format!("one value, or one for each of the {each}"),
        }),
    }
}

fn within(field: &'static str, value: Option<f64>, right: impl Fn(f64) -> bool, expected: &str) -> Result<()> {
    match value {
        Some(value) if !right(value) => {
            Err(Error::InvalidValue { field, value: value.to_string(), expected: expected.to_owned() })
        }
        _ => Ok(()),
    }
}
