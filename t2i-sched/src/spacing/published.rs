//! Levels that others have searched for, and how to have another number of them.

use super::gits::{BETWEEN, CLEANEST, FIRST, NOISIEST, STRIDE};
use super::interpolate_f64;

/// Align Your Steps for Stable Diffusion 1.5: the ends of 10 steps, as NVIDIA states their sigmas and A1111 has them.
/// <https://research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html>, <https://arxiv.org/abs/2404.14507>
pub const AYS_SD15: [f64; 11] = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029];

/// [`AYS_SD15`] as ComfyUI has it: the sigmas of the timesteps that NVIDIA states beside the sigmas,
/// 999, 850, 736, 645, 545, 455, 343, 233, 124, 24 and 0.
pub const AYS_SD15_FINE: [f64; 11] = [
    14.6146412293,
    6.4745760956,
    3.8636745985,
    2.6946151520,
    1.8841921177,
    1.3943805092,
    0.9642583904,
    0.6523686016,
    0.3977456272,
    0.1515232662,
    0.0291671582,
];

/// Align Your Steps for Stable Diffusion XL; see [`AYS_SD15`].
pub const AYS_SDXL: [f64; 11] = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029];

/// [`AYS_SDXL`] as ComfyUI has it: the sigmas of timesteps 999, 845, 730, 587, 443, 310, 193, 116, 53, 13 and 0.
pub const AYS_SDXL_FINE: [f64; 11] = [
    14.6146412293,
    6.3184485287,
    3.7681790315,
    2.1811480769,
    1.3405244945,
    0.8620721141,
    0.5550693289,
    0.3798540708,
    0.2332364134,
    0.1114188177,
    0.0291671582,
];

/// Align Your Steps for Stable Video Diffusion; see [`AYS_SD15`].
pub const AYS_SVD: [f64; 11] = [700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002];

/// `n` levels along those of `table`, both ends included, with logarithms linear in between. One level is the
/// cleanest, as in the reference: a run of one step had better be [`resample_to_zero`].
///
/// A1111: "Align Your Steps" is `resample(&AYS_SD15, n)`, `n` being the steps, and 0 after it.
pub fn resample(table: &[f64], n: usize) -> Vec<f64> {
    if n == table.len() || table.is_empty() {
        return table.to_vec();
    }
    let logs: Vec<f64> = table.iter().rev().map(|sigma| sigma.ln()).collect();
    let stride = table.len().saturating_sub(1) as f64 / n.saturating_sub(1).max(1) as f64;
    (0..n).rev().map(|i| interpolate_f64(i as f64 * stride, &logs).exp()).collect()
}

/// `n` levels along those of `table`, whose cleanest end stands for the 0 where the run ends:
/// [`resample`] to `n + 1` levels without the last.
///
/// ComfyUI: "AlignYourStepsScheduler" is `resample_to_zero(&AYS_SD15_FINE, n)`.
/// diffusers: `AysSchedules` is `resample_to_zero(&AYS_SD15, 10)`.
pub fn resample_to_zero(table: &[f64], n: usize) -> Vec<f64> {
    let mut levels = resample(table, n + 1);
    levels.pop();
    levels
}

/// The levels that GITS found for `n` steps of Stable Diffusion 1: published for 2 to 20 steps, above that 20's with
/// logarithms linear in between. `coefficient` is one of 0.80, 0.85, ... 1.50, else the nearest is taken; more of it
/// spends more of the steps on little noise.
///
/// ComfyUI: "GITSScheduler", with `coefficient` = 1.20. A1111: none. <https://arxiv.org/abs/2405.11326>
pub fn gits(coefficient: f64, n: usize) -> Vec<f64> {
    let nearest = ((coefficient - FIRST) / STRIDE).round() as usize; // what is below the first becomes 0
    let rows = &BETWEEN[nearest.min(BETWEEN.len() - 1)];
    let whole = |row: &[f64]| [&[NOISIEST], row, &[CLEANEST]].concat();
    match n {
        0 => Vec::new(),
        1 => vec![NOISIEST],
        _ => match rows.get(n - 2) {
            Some(row) => resample_to_zero(&whole(row), n),
            None => resample_to_zero(&whole(rows[rows.len() - 1]), n),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_gits_descends_and_has_its_length() {
        for rows in &BETWEEN {
            for (row, steps) in rows.iter().zip(2..) {
                assert_eq!(row.len() + 1, steps);
                assert!([&[NOISIEST], *row, &[CLEANEST]].concat().is_sorted_by(|a, b| a > b));
            }
        }
    }

    #[test]
    fn coefficients_outside_the_table_take_its_end() {
        assert_eq!(gits(-1.0, 5), gits(0.8, 5));
        assert_eq!(gits(99.0, 5), gits(1.5, 5));
        assert_eq!(gits(f64::NAN, 5), gits(0.8, 5));
        assert_ne!(gits(1.2, 5), gits(1.15, 5));
    }

    #[test]
    fn other_tables_do_as_well() {
        assert_eq!(resample(&[], 3), [] as [f64; 0]);
        assert_eq!(resample(&[2.0], 2), [2.0, 2.0]);
        assert_eq!(resample_to_zero(&[2.0], 1), [2.0]);
    }
}
