//! Teaching: losses and gradients are torch's (`tests/golden/make_teach.py`); the loss falls; the files load; whatever is
//! wrong has a name.

mod golden;

use std::path::Path;

use burn::optim::GradientsParams;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use golden::values::gradients;
use golden::{Golden, golden};
use serde_json::{Value, json};
use t2i::{LoraFormat, Pipeline, Request};
use t2i_core::{Checkpoint, Error, Part, Weights, write_png};
use t2i_train::teach::{Frozen, Learner, Lesson, Lessons, LowRank, Prior, TEMPLATES, Word, read_pictures};
use t2i_train::{LearningRate, Training, TrainingConfig};

/// Of a tensor's largest gradient: both sides compute in f32, in another order.
const TOLERANCE: f64 = 1e-3;

fn frozen(model: &str) -> Frozen {
    let checkpoint = Checkpoint::open(golden("pipelines").join(model)).expect("a golden model");
    Frozen::load(&checkpoint, &Device::flex().autodiff()).expect("a model that can be taught")
}

// The reference

struct Case {
    json: Value,
    tensors: Golden,
}

impl Case {
    fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(golden("teach/cases.json")).expect("golden cases");
        let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        let json = cases.into_iter().find(|case| case["name"] == name).expect("a case of that name");
        Self { json, tensors: Golden::open("teach/tensors.safetensors") }
    }

    fn list<T: serde::de::DeserializeOwned>(&self, field: &str) -> Vec<T> {
        serde_json::from_value(self.json[field].clone()).expect("a list")
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.json["name"].as_str().expect("a name"))
    }

    fn frozen(&self) -> Frozen {
        frozen(self.json["model"].as_str().expect("a model"))
    }

    fn lesson(&self, frozen: &Frozen) -> Lesson {
        Lesson {
            x0: self.tensors.tensor(&self.key("x0"), frozen.device()),
            eps: self.tensors.tensor(&self.key("eps"), frozen.device()),
            levels: frozen.levels().at(&self.list::<usize>("timesteps")),
            captions: self.list("captions"),
            weights: self.list("weights"),
        }
    }

    /// Puts the reference's values into what learns, and compares loss and gradients. `names` are the reference's, by
    /// the learner's own.
    fn check<L: Learner>(&self, frozen: &Frozen, learner: L, names: &[(String, String)]) {
        let value = |(own, name): &(String, String)| {
            let shape = Weights::from_module("learner", &learner).expect("names").shape(own).expect("there").to_vec();
            (own.clone(), TensorData::new(self.tensors.values(&self.key(name)), shape))
        };
        let values = Weights::from_data("golden", names.iter().map(value)).expect("names");
        let learner = values.load(learner, FloatDType::F32).expect("of these shapes");
        let loss = frozen.loss(&learner, &self.lesson(frozen)).expect("a loss");
        let found = GradientsParams::from_grads(loss.backward(), &learner);
        let found = gradients(&learner, &found);
        let (loss, expected) = (f64::from(loss.into_scalar::<f32>()), self.json["loss"].as_f64().expect("a loss"));
        assert!((loss - expected).abs() <= 1e-4 * expected, "{loss} is not {expected}");
        assert_eq!(found.len(), names.len());
        for (own, name) in names {
            let expected = self.tensors.values(&self.key(&format!("grad/{name}")));
            let found = &found[own];
            let largest = expected.iter().fold(0.0, |largest: f64, value| largest.max(f64::from(value.abs())));
            for (found, expected) in found.iter().zip(&expected) {
                assert!(
                    (found - f64::from(*expected)).abs() <= TOLERANCE * largest,
                    "{name}: {found} is not {expected}"
                );
            }
        }
    }

    fn check_word(name: &str, encoders: usize) {
        let case = Self::read(name);
        let mut frozen = case.frozen();
        let vectors = case.tensors.values(&case.key("vectors")).len() / frozen.encoders()[0].model.dim();
        let word = Word::new(&mut frozen, case.json["word"].as_str().expect("a word"), vectors, None).expect("new");
        let names = [("vectors.0", "vectors"), ("vectors.1", "vectors_2")];
        let names = names.map(|(own, name)| (own.to_owned(), name.to_owned()));
        case.check(&frozen, word, &names[..encoders]);
    }

    fn check_lora(name: &str) {
        let case = Self::read(name);
        let frozen = case.frozen();
        let parts: Vec<String> = case.list("parts");
        let parts: Vec<_> = Part::ALL.into_iter().filter(|part| parts.iter().any(|name| name == part.name())).collect();
        let rank = case.json["rank"].as_u64().expect("a rank") as usize;
        let lora = LowRank::new(&frozen, &parts, rank, 0).expect("a rank");
        let layers = lora.layers();
        let named = |half: &'static str| {
            let name = move |(i, layer): (usize, &t2i_core::LoraLayer)| {
                (format!("{half}.{i}"), format!("{}.{}.{half}", layer.part, layer.path))
            };
            layers.iter().enumerate().map(name)
        };
        let names: Vec<_> = named("down").chain(named("up")).collect();
        case.check(&frozen, lora, &names);
    }
}

#[test]
fn a_step_of_textual_inversion_is_that_of_torch() {
    Case::check_word("word", 1);
    Case::check_word("word_sd2", 1);
    Case::check_word("word_xl", 2);
}

#[test]
fn a_step_of_lora_with_prior_preservation_is_that_of_torch() {
    Case::check_lora("lora");
    Case::check_lora("lora_xl");
}

// A whole lesson

/// Three pictures, one with a caption.
fn pictures() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..3 {
        let row = Tensor::<1>::from_data(TensorData::from([0.9f32, -0.5, 0.1 * i as f32]), &Device::flex());
        let pixels = row.reshape([1, 3, 1, 1]).expand([1, 3, 20, 24]);
        write_png(folder.path().join(format!("{i}.png")), pixels).expect("written");
    }
    std::fs::write(folder.path().join("1.txt"), "a {} on a red background\n").expect("written");
    std::fs::write(folder.path().join("notes.md"), "no picture").expect("written");
    folder
}

fn templates() -> Vec<String> {
    TEMPLATES.map(str::to_owned).to_vec()
}

fn lessons(frozen: &Frozen) -> Lessons {
    let folder = pictures();
    let pictures = read_pictures(folder.path(), 32, frozen.device()).expect("pictures");
    assert_eq!(pictures.len(), 3);
    assert!(pictures.iter().all(|picture| picture.pixels.dims() == [1, 3, 32, 32]));
    assert_eq!(pictures[1].caption.as_deref(), Some("a {} on a red background"));
    let prior = Prior::new(frozen, pictures[..1].to_vec(), "a red picture", 0.5).expect("a weight");
    Lessons::new(frozen, pictures, "<red>", templates(), 2, 7).expect("pictures").with_prior(prior)
}

#[test]
fn a_lesson_says_what_pictures_show_and_is_the_same_when_asked_for_again() {
    let frozen = frozen("sd1");
    let lessons = lessons(&frozen);
    let mut own_captions = 0;
    for step in 0..20 {
        let lesson = lessons.at(&frozen, step);
        assert_eq!(lesson.weights, [0.5, 0.5, 0.25, 0.25]);
        assert_eq!(lesson.x0.dims(), [4, 4, 4, 4]);
        assert_eq!(lesson.captions[2..], ["a red picture", "a red picture"]);
        assert!(lesson.captions[..2].iter().all(|caption| caption.contains("<red>") && !caption.contains('{')));
        own_captions += lesson.captions.iter().filter(|caption| *caption == "a <red> on a red background").count();
        let again = lessons.at(&frozen, step);
        assert_eq!((again.captions, again.levels), (lesson.captions, lesson.levels));
        assert_eq!(again.eps.into_data(), lesson.eps.into_data());
    }
    assert!((1..40).contains(&own_captions), "{own_captions} of 40");
}

fn training<L: Learner>(learner: L, rate: f64) -> Training<L> {
    let learning_rate = LearningRate::constant(rate);
    Training::new(learner, TrainingConfig { learning_rate, ..TrainingConfig::default() }).expect("a sensible config")
}

fn steps<L: Learner>(training: &mut Training<L>, frozen: &Frozen, lessons: &Lessons, n: usize) {
    for _ in 0..n {
        training.step(|learner, step| frozen.loss(learner, &lessons.at(frozen, step))).expect("a finite step");
    }
}

/// The mean loss of the lessons that are learned from.
fn loss<L: Learner>(learner: &L, frozen: &Frozen, lessons: &Lessons) -> f64 {
    let loss = |step| frozen.loss(learner, &lessons.at(frozen, step)).expect("a loss").into_scalar::<f32>();
    (0..30).map(|step| f64::from(loss(step))).sum::<f64>() / 30.0
}

fn picture(prompt: &str, teach: impl FnOnce(&mut Pipeline)) -> TensorData {
    let mut pipeline =
        Pipeline::load(golden("pipelines/sd1"), &Device::flex(), FloatDType::F32).expect("the golden model");
    teach(&mut pipeline);
    let request = Request { steps: Some(2), width: Some(16), height: Some(16), ..Request::new(prompt) };
    pipeline.latents(&request).expect("latents").into_data()
}

#[test]
fn a_word_is_learned_and_its_file_loads() {
    let mut frozen = frozen("sd1");
    let word = Word::new(&mut frozen, "<red>", 2, Some("horse")).expect("new");
    let lessons = lessons(&frozen);
    assert_eq!(lessons.pictures_a_step(), 4);
    let before = loss(&word, &frozen, &lessons);
    let mut training = training(word, 2e-2);
    steps(&mut training, &frozen, &lessons, 30);
    let after = loss(training.model(), &frozen, &lessons);
    assert!(after < before, "{after} is not less than {before}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("learned_embeds.safetensors");
    training.model().embedding(&frozen).write(&path).expect("written");
    let plain = picture("a <red> horse", |_| ());
    let taught = picture("a <red> horse", |pipeline| pipeline.load_embedding(&path, None).expect("a learned word"));
    assert_ne!(plain, taught);
}

#[test]
fn a_lora_is_learned_and_its_files_load() {
    let frozen = frozen("sd1");
    let lora = LowRank::new(&frozen, &[Part::Unet, Part::TextEncoder], 2, 3).expect("a rank");
    let lessons = lessons(&frozen);
    let before = loss(&lora, &frozen, &lessons);
    let mut training = training(lora, 1e-2);
    steps(&mut training, &frozen, &lessons, 30);
    let after = loss(training.model(), &frozen, &lessons);
    assert!(after < 0.99 * before, "{after} is not less than {before}");
    let folder = tempfile::tempdir().expect("a folder");
    let plain = picture("a red horse", |_| ());
    let formats = [LoraFormat::Diffusers, LoraFormat::Kohya(frozen.family())];
    let taught = formats.map(|format| {
        let path = folder.path().join("lora.safetensors");
        format.write(&path, &training.model().layers(), FloatDType::F32).expect("written");
        picture("a red horse", |pipeline| pipeline.load_lora(&path, 1.0).expect("a LoRA"))
    });
    assert_eq!(taught[0], taught[1]);
    assert_ne!(taught[0], plain);
}

#[test]
fn a_lesson_that_is_stopped_and_resumed_ends_as_one_that_is_not() {
    let frozen = frozen("sd1");
    let lessons = lessons(&frozen);
    let new = || training(LowRank::new(&frozen, &[Part::Unet], 1, 3).expect("a rank"), 1e-2);
    let mut whole = new();
    steps(&mut whole, &frozen, &lessons, 4);
    let folder = tempfile::tempdir().expect("a folder");
    let mut first = new();
    steps(&mut first, &frozen, &lessons, 2);
    first.save(folder.path(), &json!({})).expect("saved");
    let mut second = new();
    assert!(second.resume(folder.path(), &json!({})).expect("resumed"));
    steps(&mut second, &frozen, &lessons, 2);
    assert_eq!(second.model().layers(), whole.model().layers());
}

// Bad input

#[test]
fn folders_without_pictures_have_a_name() {
    let device = Device::flex();
    let read = |folder: &Path| read_pictures(folder, 32, &device).expect_err("no pictures");
    assert!(matches!(read(Path::new("no/such/folder")), Error::Io { .. }));
    let folder = tempfile::tempdir().expect("a folder");
    let error = read(folder.path());
    assert!(matches!(&error, Error::MissingPart { path, .. } if path == folder.path()), "{error}");
    let broken = folder.path().join("broken.png");
    std::fs::write(&broken, b"no picture").expect("written");
    assert!(matches!(read(folder.path()), Error::Corrupt { path, .. } if path == broken));
}

#[test]
fn a_word_that_cannot_be_new_is_refused() {
    let mut frozen = frozen("sd1");
    let field = |error: Error| match error {
        Error::InvalidValue { field, .. } => field,
        other => panic!("{other}"),
    };
    let mut new =
        |token: &str, vectors, initial| field(Word::new(&mut frozen, token, vectors, initial).expect_err(token));
    assert_eq!(new("<|endoftext|>", 1, None), "token");
    assert_eq!(new("horse", 1, None), "token");
    assert_eq!(new("<word>", 0, None), "token");
    assert_eq!(new("<word>", 1, Some("astronaut lighthouse")), "initial token");
    assert_eq!(new("<word>", 1, Some("")), "initial token");
    assert!(Word::new(&mut frozen, "<word>", 1, Some("horse")).is_ok());
    assert_eq!(field(Word::new(&mut frozen, "<word>", 1, None).expect_err("twice")), "token");
}

#[test]
fn what_makes_no_lesson_is_refused() {
    let frozen = frozen("sd1");
    let folder = pictures();
    let pictures = || read_pictures(folder.path(), 32, frozen.device()).expect("pictures");
    for weight in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(Prior::new(&frozen, pictures(), "a picture", weight).is_err());
    }
    for (pictures, templates, batch) in
        [(Vec::new(), templates(), 1), (pictures(), Vec::new(), 1), (pictures(), templates(), 0)]
    {
        assert!(matches!(Lessons::new(&frozen, pictures, "x", templates, batch, 0), Err(Error::InvalidValue { .. })));
    }
    let odd = read_pictures(folder.path(), 30, frozen.device()).expect("pictures");
    let error = Lessons::new(&frozen, odd, "x", templates(), 1, 0).expect_err("no whole cells");
    assert!(matches!(&error, Error::InvalidValue { field: "size", value, .. } if value == "30"), "{error}");
    assert!(matches!(LowRank::new(&frozen, &[Part::Unet], 0, 0), Err(Error::InvalidValue { field: "rank", .. })));
    assert!(LowRank::new(&frozen, &[Part::TextEncoder2], 1, 0).is_err());
}

#[test]
fn models_that_are_told_more_than_a_caption_are_refused() {
    for model in ["sd1-inpaint", "sdxl-refiner"] {
        let checkpoint = Checkpoint::open(golden("pipelines").join(model)).expect("a golden model");
        let error = Frozen::load(&checkpoint, &Device::flex().autodiff()).expect_err(model);
        assert!(matches!(&error, Error::InvalidValue { field: "model", .. }), "{error}");
    }
}
