//! Matrix products against plain sums in f64.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Block, Left, Start, Tile, packed_len};
use crate::{
    Layer, Matrix,
    arch::tests::each,
    expect::{error, numbers},
    linear, matmul, perceptron,
    scratch::LINE,
};

/// `a [m, k]` times `b [n, k]` transposed, plus `bias [n]`.
fn plain(a: &[f32], b: &[f32], bias: &[f32], k: usize) -> Vec<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    a.chunks(k).flat_map(|a| b.chunks(k).zip(bias).map(move |(b, bias)| dot(a, b) + f64::from(*bias))).collect()
}

fn transposed(x: &[f32], cols: usize) -> Vec<f32> {
    (0..x.len()).map(|i| x[i % (x.len() / cols) * cols + i / (x.len() / cols)]).collect()
}

fn sizes(rng: &mut ChaCha8Rng) -> Vec<[usize; 3]> {
    let mut sizes = vec![[1, 1, 1], [1, 1280, 37], [200, 3, 1000], [49, 1600, 33], [500, 1, 2], [7, 1000, 1100]];
    sizes.extend([[80, 900, 30], [154, 800, 50], [600, 100, 160], [520, 50, 130]]);
    sizes.extend([[513, 90, 33], [700, 1000, 40], [512, 800, 70], [515, 60, 60], [518, 40, 75], [527, 33, 9]]);
    sizes.extend((0..60).map(|_| [rng.random_range(1..130), rng.random_range(1..90), rng.random_range(1..150)]));
    sizes
}

#[test]
fn products_are_plain_sums() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for [m, k, n] in sizes(&mut rng) {
            let (a, b, bias) = (numbers(&mut rng, m * k), numbers(&mut rng, n * k), numbers(&mut rng, n));
            let mut out = vec![f32::NAN; m * n];
            for w in [Matrix::new(&b, n, k).t(), Matrix::new(&transposed(&b, k), k, n)] {
                linear(&a, w, Some(&bias), &mut out);
                assert!(error(&out, &plain(&a, &b, &bias, k)) < 1e-5, "{m} {k} {n} with bias");
                linear(&a, w, None, &mut out);
                assert!(error(&out, &plain(&a, &b, &vec![0.0; n], k)) < 1e-5, "{m} {k} {n}");
            }
        }
    });
}

#[test]
fn operands_may_be_transposed_and_wide() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for [m, k, n] in sizes(&mut rng) {
            let (a, b) = (numbers(&mut rng, m * k), numbers(&mut rng, n * k));
            let want = plain(&a, &b, &vec![0.0; n], k);
            let mut out = vec![f32::NAN; m * n];
            let wide: Vec<f32> = a.chunks(k).flat_map(|row| row.iter().copied().chain([f32::NAN; 3])).collect();
            for a in [
                Matrix::new(&a, m, k),
                Matrix::new(&transposed(&a, k), k, m).t(),
                Matrix::with_step(&wide, m, k, k + 3),
            ] {
                for b in [Matrix::new(&b, n, k).t(), Matrix::new(&transposed(&b, k), k, n)] {
                    matmul(a, b, &mut out);
                    assert!(error(&out, &want) < 1e-5, "{m} {k} {n}");
                }
            }
        }
    });
}

#[test]
fn nan_stays_in_its_row_and_sizes_do_not_matter() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (mut a, b) = (numbers(&mut rng, 30 * 40), numbers(&mut rng, 50 * 40));
        a[7 * 40 + 5] = f32::NAN;
        a[3 * 40] = 1e30;
        let mut out = vec![f32::INFINITY; 30 * 50];
        linear(&a, Matrix::new(&b, 50, 40).t(), None, &mut out);
        assert!(out.chunks(50).enumerate().all(|(i, row)| row.iter().all(|x| x.is_nan() == (i == 7))));
        for scale in [1e4f32, 1e-30] {
            let scaled: Vec<f32> = b.iter().map(|x| x * scale).collect();
            let mut out = vec![f32::NAN; 50 * 50];
            matmul(Matrix::new(&b, 50, 40), Matrix::new(&scaled, 50, 40).t(), &mut out);
            assert!(error(&out, &plain(&b, &scaled, &[0.0; 50], 40)) < 1e-5, "{scale}");
        }
    });
}

#[test]
fn a_block_sums_any_length() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        for [m, k, n] in [[24, 48 * LINE, 64], [25, 100 * LINE + 3, 80], [11, 15, 32], [17, 50 * LINE, 150]] {
            let (a, b) = (numbers(&mut rng, m * k), numbers(&mut rng, n * k));
            let want = plain(&a, &b, &vec![0.0; n], k);
            for tile in [Tile::high(), Tile::for_columns(n)] {
                let mut panels = vec![f32::NAN; packed_len(k, n, tile.cols)];
                Matrix::new(&b, n, k).t().pack(tile.cols, &mut panels);
                let (a, b, b_step) = (Left::Rows { values: &a, step: k }, &panels[..], k * tile.cols);
                let mut c = vec![f32::NAN; m * n];
                Block { tile, a, b, b_step, k, c: &mut c, c_step: n, rows: m, cols: n, start: Start::Zero }.run();
                assert!(error(&c, &want) < 1e-5, "{m} {k} {n}");
            }
        }
    });
}

#[test]
fn one_thread_computes_the_same() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (a, b) = (numbers(&mut rng, 300 * 70), numbers(&mut rng, 90 * 70));
        let [mut many, mut one] = [vec![0.0; 300 * 90], vec![0.0; 300 * 90]];
        matmul(Matrix::new(&a, 300, 70), Matrix::new(&b, 90, 70).t(), &mut many);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
        pool.install(|| matmul(Matrix::new(&a, 300, 70), Matrix::new(&b, 90, 70).t(), &mut one));
        assert_eq!(many, one);
    });
}

#[test]
#[should_panic(expected = "the result is 2 x 3")]
fn a_result_of_the_wrong_size_is_refused() {
    matmul(Matrix::new(&[0.0; 8], 2, 4), Matrix::new(&[0.0; 12], 4, 3), &mut [0.0; 5]);
}

#[test]
fn no_rows_are_no_work() {
    each(|| {
        linear(&[], Matrix::new(&[1.0; 12], 3, 4).t(), None, &mut []);
        let mut out = [1.0; 6];
        matmul(Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 3), &mut out);
        assert_eq!(out, [0.0; 6]);
    });
}

#[test]
fn perceptrons_are_two_layers() {
    each(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let square = |x: &mut [f32]| x.iter_mut().for_each(|x| *x *= *x);
        for [m, k, n] in sizes(&mut rng) {
            let between = rng.random_range(1..200);
            let (x, first, second) =
                (numbers(&mut rng, m * k), numbers(&mut rng, between * k), numbers(&mut rng, n * between));
            let (bias, more) = (numbers(&mut rng, between), numbers(&mut rng, n));
            let hidden: Vec<f32> = plain(&x, &first, &bias, k).iter().map(|x| (x * x) as f32).collect();
            let layers = [
                Layer { w: Matrix::new(&first, between, k).t(), bias: Some(&bias) },
                Layer { w: Matrix::new(&second, n, between).t(), bias: Some(&more) },
            ];
            let mut out = vec![f32::NAN; m * n];
            perceptron(&x, layers, square, &mut out);
            assert!(error(&out, &plain(&hidden, &second, &more, between)) < 1e-5, "{m} {k} {between} {n}");
        }
    });
}
