//! A fast hash that notices damage. It is no protection against someone who means harm.

const LANES: usize = 4;
const LANE_BYTES: usize = 8;
const ODD: [u64; LANES] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0xd6e8_feb8_6659_fd93];

/// Hash of `bytes`, continuing from `seed`.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut lanes = ODD.map(|odd| odd ^ seed);
    let (chunks, rest) = bytes.as_chunks::<{ LANES * LANE_BYTES }>();
    for chunk in chunks {
        let (words, _) = chunk.as_chunks::<LANE_BYTES>();
        for ((lane, word), odd) in lanes.iter_mut().zip(words).zip(ODD) {
            *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(odd).rotate_left(31);
        }
    }
    let mut sum = (bytes.len() as u64).wrapping_mul(ODD[1]);
    for lane in lanes {
        sum = mix(sum ^ lane);
    }
    for &byte in rest {
        sum = mix(sum ^ u64::from(byte));
    }
    sum
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let bytes: Vec<u8> = (0..100u8).collect();
        let whole = hash(1, &bytes);
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash(1, &broken), whole, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_ne!(hash(1, &bytes[..len]), whole, "length {len}");
        }
        assert_ne!(hash(2, &bytes), whole, "another seed");
    }
}
