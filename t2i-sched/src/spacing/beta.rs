//! The quantile function of the beta distribution.

/// The `x` with `I_x(a, b) = p`, in `[0, 1]`, for `p` in `[0, 1]` and `a`, `b` below 1 or so.
///
/// Bisection over the regularized incomplete beta function: the function is monotonic, and 200 halvings end at
/// neighbouring floats wherever `x` lies.
pub(super) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return p.clamp(0.0, 1.0);
    }
    if p == 0.5 && a == b {
        return 0.5; // exactly, since half a table is rounded to a level
    }
    if p > 0.5 {
        return 1.0 - beta_quantile(1.0 - p, b, a); // small values of x are the precise ones
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if regularized_incomplete_beta(middle, a, b) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// `I_x(a, b)` by its continued fraction. <https://dlmf.nist.gov/8.17#v>
fn regularized_incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularized_incomplete_beta(1.0 - x, b, a);
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b)).exp() / a;
    front / continued_fraction(x, a, b)
}

/// `1 + d_1 / (1 + d_2 / (1 + ...))`, evaluated from the inside out: 200 terms are far more than `x` in
/// `[0, (a + 1) / (a + b + 2)]` needs.
fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    let term = |k: u32| {
        let m = f64::from(k / 2);
        if k.is_multiple_of(2) {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        }
    };
    (1..=200).rev().fold(1.0, |inner, k| 1.0 + term(k) / inner)
}

/// `ln B(a, b)`.
fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// `ln Gamma(x)` for `x > 0`: Stirling's series above 15, reached by `Gamma(x) = Gamma(x + 1) / x`.
/// <https://dlmf.nist.gov/5.11#E1>
fn ln_gamma(x: f64) -> f64 {
    if x < 15.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5)) - 1.0 / (1680.0 * x.powi(7));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_scipy() {
        // scipy.stats.beta.ppf(p, 0.6, 0.6)
        for (p, expected) in
            [(0.5, 0.5), (0.05, 0.012554456873611399), (0.95, 0.9874455431263885), (0.3, 0.23401700387523572)]
        {
            let found = beta_quantile(p, 0.6, 0.6);
            assert!((found - expected).abs() < 1e-12, "{p}: {found} for {expected}");
        }
    }
}
