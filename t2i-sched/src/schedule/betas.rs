//! The published ways to choose betas, in the f32 arithmetic of torch.

use std::f64::consts::FRAC_PI_2;

/// Betas on a straight line. <https://arxiv.org/abs/2006.11239>
pub fn linear(start: f64, end: f64, len: usize) -> Vec<f32> {
    linspace(start as f32, end as f32, len)
}

/// Betas whose square roots are on a straight line. <https://github.com/CompVis/latent-diffusion>
pub fn scaled_linear(start: f64, end: f64, len: usize) -> Vec<f32> {
    linspace(start.sqrt() as f32, end.sqrt() as f32, len).iter().map(|b| b * b).collect()
}

/// Betas from a squared cosine (`squaredcos_cap_v2`). <https://arxiv.org/abs/2102.09672>, eq. 17
pub fn cosine(len: usize) -> Vec<f32> {
    from_alpha_bar(len, |t| ((t + 0.008) / 1.008 * FRAC_PI_2).cos().powi(2))
}

/// Betas from `exp(-12 t)` (`exp` of diffusers' Heun class).
pub fn exponential(len: usize) -> Vec<f32> {
    from_alpha_bar(len, |t| (-12.0 * t).exp())
}

/// Betas from a Laplace distribution of log-SNR (`laplace` of diffusers' DDPM class).
/// <https://arxiv.org/abs/2407.03297>
pub fn laplace(len: usize) -> Vec<f32> {
    from_alpha_bar(len, |t| {
        let side = 1f64.copysign(0.5 - t);
        let snr = (-0.5 * side * (1.0 - 2.0 * (0.5 - t).abs() + 1e-6).ln()).exp();
        (snr / (1.0 + snr)).sqrt()
    })
}

/// Betas on a sigmoid over [-6, 6] (GeoDiff). <https://arxiv.org/abs/2203.02923>
pub fn sigmoid(start: f64, end: f64, len: usize) -> Vec<f32> {
    let span = (end - start) as f32;
    let squash = |x: &f32| 1.0 / (1.0 + (-x).exp()) * span + start as f32;
    linspace(-6.0, 6.0, len).iter().map(squash).collect()
}

/// Shifts and stretches `sqrt(alphas_cumprod)` so that the last is 0 and the first stays.
/// <https://arxiv.org/abs/2305.08891>, algorithm 1
pub fn zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = alphas_cumprod(betas).iter().map(|a| a.sqrt()).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let stretch = first / (first - last);
    let bars: Vec<f32> = roots.iter().map(|r| ((r - last) * stretch).powi(2)).collect();
    let before = std::iter::once(1.0).chain(bars.iter().copied());
    bars.iter().zip(before).map(|(bar, before)| 1.0 - bar / before).collect()
}

/// The running product of `1 - beta`: torch multiplies in f64 and stores f32.
pub(super) fn alphas_cumprod(betas: &[f32]) -> Vec<f32> {
    let product = |product: &mut f64, beta: &f32| {
        *product *= f64::from(1.0 - beta);
        Some(*product as f32)
    };
    betas.iter().scan(1.0, product).collect()
}

/// Betas with the running product `alpha_bar(t)`, divided in f64 and capped at 0.999.
fn from_alpha_bar(len: usize, alpha_bar: impl Fn(f64) -> f64) -> Vec<f32> {
    let time = |i: usize| i as f64 / len as f64;
    let beta = |i| (1.0 - alpha_bar(time(i + 1)) / alpha_bar(time(i))).min(0.999);
    (0..len).map(|i| beta(i) as f32).collect()
}

/// `torch.linspace` in f32: from both ends towards the middle, with fused products.
pub(crate) fn linspace(start: f32, end: f32, len: usize) -> Vec<f32> {
    if len <= 1 {
        return vec![start; len];
    }
    let step = (end - start) / (len - 1) as f32;
    let value = |i: usize| {
        if i < len / 2 { step.mul_add(i as f32, start) } else { (-step).mul_add((len - 1 - i) as f32, end) }
    };
    (0..len).map(value).collect()
}
