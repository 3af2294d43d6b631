//! The words that captions are made of, and those that people use for emoji.

use t2i::core::{Checkpoint, Part};
use t2i_data::{Archives, Scenes, concepts};
use t2i_train::Vocabulary;

use crate::Common;

/// How many captions are read: enough that every name is among them.
const CAPTIONS: u64 = 20_000;

pub(crate) fn learn(common: &Common) -> t2i::Result<()> {
    let archives = Archives::open(&common.archives)?;
    let checkpoint = Checkpoint::open(&common.model)?;
    let size: usize = checkpoint.options(Part::TextEncoder)?.require("vocab_size")?;
    let concepts = concepts()?;
    let scenes = Scenes::new(&concepts, 0, 0.5)?;
    let captions = (0..CAPTIONS).map(|i| scenes.caption(&scenes.scene(i), i));
    let held_out = concepts.iter().filter(|concept| concept.held_out);
    let mut lines: Vec<_> = captions.collect();
    lines.extend(held_out.flat_map(|concept| std::iter::repeat_n(concept.name.clone(), 20)));
    lines.extend(archives.labels()?);
    let vocabulary = Vocabulary::learn(lines.iter().map(String::as_str), size)?;
    vocabulary.write(common.model.join(Part::Tokenizer.name()))?;
    eprintln!("{} tokens", vocabulary.len());
    Ok(())
}
