//! Many independent seeds from one.

const MULTIPLIER_A: u32 = 0x931e_8875;
const MULTIPLIER_B: u32 = 0x58f3_8ded;
const INITIAL_A: u32 = 0x43b0_d7e5;
const INITIAL_B: u32 = 0x8b51_f9dd;
const MIX_LEFT: u32 = 0xca01_f9dd;
const MIX_RIGHT: u32 = 0x4973_f715;

/// The first `n` words of `numpy.random.SeedSequence(entropy, spawn_key=key, pool_size=pool).generate_state(n)`:
/// M. O'Neill's `seed_seq_fe`, with numpy's handling of keys.
/// <https://www.pcg-random.org/posts/developing-a-seed_seq-alternative.html>
pub(super) fn seed_sequence(entropy: u64, key: &[u64], pool: usize, n: usize) -> Vec<u32> {
    let mut words = words(entropy);
    if !key.is_empty() && words.len() < pool {
        words.resize(pool, 0); // so that a key never stands for entropy
    }
    words.extend(key.iter().flat_map(|part| self::words(*part)));
    let pool = mixed(&words, pool);
    let mut hash = Hash { constant: INITIAL_B, multiplier: MULTIPLIER_B };
    pool.iter().cycle().take(n).map(|word| hash.next(*word)).collect()
}

/// The pool, in which every bit of the entropy has touched every word.
fn mixed(entropy: &[u32], size: usize) -> Vec<u32> {
    let mut hash = Hash { constant: INITIAL_A, multiplier: MULTIPLIER_A };
    let word = |i: usize| entropy.get(i).copied().unwrap_or(0);
    let mut pool: Vec<u32> = (0..size).map(|i| hash.next(word(i))).collect();
    for source in 0..size {
        for target in (0..size).filter(|target| *target != source) {
            pool[target] = mix(pool[target], hash.next(pool[source]));
        }
    }
    for word in entropy.iter().skip(size) {
        pool.iter_mut().for_each(|target| *target = mix(*target, hash.next(*word)));
    }
    pool
}

/// A hash whose constant changes with each use.
struct Hash {
    constant: u32,
    multiplier: u32,
}

impl Hash {
    fn next(&mut self, value: u32) -> u32 {
        let value = value ^ self.constant;
        self.constant = self.constant.wrapping_mul(self.multiplier);
        let value = value.wrapping_mul(self.constant);
        value ^ (value >> 16)
    }
}

fn mix(x: u32, y: u32) -> u32 {
    let mixed = x.wrapping_mul(MIX_LEFT).wrapping_sub(y.wrapping_mul(MIX_RIGHT));
    mixed ^ (mixed >> 16)
}

/// The number as words, the lowest first; 0 is one word.
fn words(number: u64) -> Vec<u32> {
    let (low, high) = (number as u32, (number >> 32) as u32);
    if high == 0 { vec![low] } else { vec![low, high] }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::seed_sequence;
    use serde_json::Value;

    /// Made by `tests/golden/make_k_diffusion.py`.
    const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/k_diffusion/seeds.json");

    #[test]
    fn it_is_that_of_numpy() {
        let json: Value = serde_json::from_str(&std::fs::read_to_string(SEEDS).unwrap()).unwrap();
        let numbers = |value: &Value| value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>();
        for case in json["sequences"].as_array().unwrap() {
            let pool = case["pool"].as_u64().unwrap() as usize;
            let found = seed_sequence(case["entropy"].as_u64().unwrap(), &numbers(&case["key"]), pool, 5);
            assert_eq!(found.into_iter().map(u64::from).collect::<Vec<_>>(), numbers(&case["words"]), "{case}");
        }
    }
}
