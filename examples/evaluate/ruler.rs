//! Pictures of scenes, measured.

use indicatif::ProgressBar;
use t2i_data::{Judge, Library, Scene, Verdict, frechet_distance};

use crate::features::Features;
use crate::table::Row;

/// All that pictures are measured with.
pub(crate) struct Ruler<'a> {
    pub(crate) library: &'a Library,
    pub(crate) judge: Judge,
    pub(crate) features: Features,
    /// Pictures made at once.
    pub(crate) batch: usize,
    pub(crate) bar: ProgressBar,
}

impl Ruler<'_> {
    /// Has `paint` make the pictures of scenes, a batch at a time, and measures them. It is told the number of the first.
    pub(crate) fn measure(
        &self,
        name: String,
        scenes: &[Scene],
        mut paint: impl FnMut(u64, &[Scene]) -> Result<Vec<Vec<f32>>, t2i::Error>,
    ) -> Result<Row, t2i::Error> {
        self.bar.set_message(name.clone());
        let (mut verdicts, mut made, mut meant) = (Vec::new(), Vec::new(), Vec::new());
        for (batch, scenes) in scenes.chunks(self.batch).enumerate() {
            let pictures = paint((batch * self.batch) as u64, scenes)?;
            verdicts.extend(scenes.iter().zip(&pictures).map(|(scene, picture)| self.judge.judge(scene, picture)));
            made.extend(self.features.of(&pictures));
            meant.extend(self.features.of(&self.renderings(scenes)));
            self.bar.inc(scenes.len() as u64);
        }
        let share = |is_right: fn(&Verdict) -> bool| {
            verdicts.iter().filter(|verdict| is_right(verdict)).count() as f64 / verdicts.len() as f64
        };
        Ok(Row {
            name,
            prompts: scenes.len(),
            objects: share(|verdict| verdict.objects_right),
            style: share(|verdict| verdict.style_right),
            background: share(|verdict| verdict.background_right),
            frechet: frechet_distance(&made, &meant)?,
        })
    }

    pub(crate) fn renderings(&self, scenes: &[Scene]) -> Vec<Vec<f32>> {
        scenes.iter().map(|scene| self.library.render(scene)).collect()
    }
}
