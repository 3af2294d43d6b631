//! The share of fresh noise in a stochastic step.

use crate::Level;

/// Splits the noise of level `to` in `(kept, fresh)`, with `kept^2 + fresh^2 = to.sigma^2`: the standard deviation
/// that keeps the latent's own direction and the one that is drawn anew,
/// `fresh = eta * to.sigma * sqrt(1 - exp(-2 h))`.
///
/// With `eta = 1` this is Euler ancestral's `sigma_up` at variance-exploding levels and the posterior's deviation of
/// DDPM at variance-preserving ones; any `eta` there is DDIM's (<https://arxiv.org/abs/2010.02502>, eq. 16).
pub(super) fn split(from: Level, to: Level, eta: f64) -> (f64, f64) {
    let renewed = -(-2.0 * from.h(to)).exp_m1();
    let fresh = eta * to.sigma * renewed.max(0.0).sqrt();
    let kept = (to.sigma.powi(2) - fresh.powi(2)).max(0.0).sqrt();
    (kept, fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sigma_up_of_k_diffusion() {
        let (kept, fresh) = split(Level::ve(3.0), Level::ve(2.0), 1.0);
        let sigma_up = (4.0 * (9.0 - 4.0) / 9.0f64).sqrt();
        assert!((fresh - sigma_up).abs() < 1e-12);
        assert!((kept - (4.0 - sigma_up * sigma_up).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn it_is_the_posterior_deviation_of_ddpm() {
        let (a, b) = (0.3f64, 0.6f64);
        let (_, fresh) = split(Level::vp(a), Level::vp(b), 1.0);
        let variance = (1.0 - b) / (1.0 - a) * (1.0 - a / b);
        assert!((fresh - variance.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn its_ends_are_finite() {
        assert_eq!(split(Level::vp(0.0), Level::CLEAN, 1.0), (0.0, 0.0));
        assert_eq!(split(Level::vp(0.0), Level::vp(0.0), 1.0).1, 0.0);
    }
}
