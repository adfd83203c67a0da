//! Vectors of the length that a caller wants, of Euclidean norm 1.

/// The same vector with `length` values: filled up with zeros, which change no angle, or projected on
/// fewer directions, which keep the angles about as they were.
///
/// Cutting the vector off does so less well: what matters is spread over all of it, and some values are
/// many times as large as the rest. Value `j` of a projection does not depend on `length`, so that a
/// short vector is the beginning of a less short one but for the norm.
pub(super) fn of_length(vector: Vec<f32>, length: usize) -> Vec<f32> {
    let mut vector = if length < vector.len() { projected(&vector, length) } else { vector };
    normalise(&mut vector);
    vector.resize(length, 0.0);
    vector
}

/// The beginning of a vector whose model was trained so that this is a vector too; filled up with zeros.
pub(super) fn begun(mut vector: Vec<f32>, length: usize) -> Vec<f32> {
    vector.truncate(length);
    normalise(&mut vector);
    vector.resize(length, 0.0);
    vector
}

/// Makes the norm 1; a vector of zeros has none.
pub(super) fn normalise(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|value| f64::from(*value).powi(2)).sum();
    if square > 0.0 {
        let scale = square.sqrt().recip();
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    }
}

/// Each value is the sum of all with signs of its own, by chance but always the same.
fn projected(vector: &[f32], length: usize) -> Vec<f32> {
    let mut sums = vec![0.0; length];
    for (i, value) in vector.iter().enumerate() {
        for (word, sums) in sums.chunks_mut(64).enumerate() {
            let signs = mixed((i as u64) << 32 | word as u64);
            for (bit, sum) in sums.iter_mut().enumerate() {
                *sum += if signs >> bit & 1 == 0 { *value } else { -*value };
            }
        }
    }
    sums
}

/// The finalizer of `SplitMix64`: bits that look like chance.
fn mixed(place: u64) -> u64 {
    let x = place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// Values by chance, in -1 to 1.
    fn vector(seed: u64) -> Vec<f32> {
        (0..896).map(|i| mixed(seed << 32 | i) as u32 as f32 / (1u32 << 31) as f32 - 1.0).collect()
    }

    #[test]
    fn every_length_has_norm_1() {
        for length in [1, 64, 65, 895, 896, 897, 2048] {
            let made = of_length(vector(1), length);
            assert_eq!(made.len(), length);
            assert!((dot(&made, &made) - 1.0).abs() < 1e-5, "{length}");
        }
        assert_eq!(of_length(vec![0.0; 8], 4), [0.0; 4], "no direction, and no division by zero");
    }

    #[test]
    fn longer_vectors_end_with_zeros_and_shorter_ones_begin_alike() {
        let whole = of_length(vector(1), 896);
        let long = of_length(vector(1), 1024);
        assert_eq!((&long[..896], &long[896..]), (&*whole, &[0.0; 128][..]));
        let (mut begin, short) = (of_length(vector(1), 512)[..128].to_vec(), of_length(vector(1), 128));
        normalise(&mut begin);
        assert!(dot(&begin, &short) > 0.9999);
    }

    #[test]
    fn angles_stay_about_as_they_were() {
        let (a, other) = (vector(1), vector(2));
        let near: Vec<f32> = a.iter().zip(&other).map(|(a, other)| a + 0.5 * other).collect();
        for length in [896, 512, 256, 128] {
            let [a, near, other] = [&a, &near, &other].map(|vector| of_length(vector.clone(), length));
            assert!((dot(&a, &near) - 0.89).abs() < 0.1, "{length}: {}", dot(&a, &near));
            assert!(dot(&a, &other).abs() < 0.25, "{length}: {}", dot(&a, &other));
        }
    }
}
