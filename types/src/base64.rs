//! Vectors as base64 of little-endian `f32`, as OpenAI's SDKs ask for them.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The numbers as text.
pub(crate) fn encode(numbers: &[f32]) -> String {
    let mut out = String::with_capacity((numbers.len() * 4).div_ceil(3) * 4);
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    for three in bytes.chunks(3) {
        let word = three.iter().chain([&0, &0]).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for place in 0..4 {
            // Three bytes make four characters; what is not there is told by `=`.
            let index = (word >> (18 - 6 * place)) & 63;
            out.push(if place <= three.len() { ALPHABET[index as usize].into() } else { '=' });
        }
    }
    out
}

/// The numbers of a text, if it is one.
pub(crate) fn decode(text: &str) -> Option<Vec<f32>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    for four in text.chunks(4) {
        let mut word = 0_u32;
        for place in 0..4 {
            let value = match four.get(place) {
                Some(character) => ALPHABET.iter().position(|known| known == character)?,
                None => 0,
            };
            word = word << 6 | value as u32;
        }
        let [_, three @ ..] = word.to_be_bytes();
        // One character alone is less than a byte.
        let count = four.len().checked_sub(1).filter(|count| *count > 0)?;
        bytes.extend_from_slice(&three[..count]);
    }
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_other_programs_write_them() {
        for (numbers, text) in [
            (&[][..], ""),
            (&[1.0][..], "AACAPw=="),
            (&[1.0, -0.5][..], "AACAPwAAAL8="),
            (&[1.0, -0.5, 0.25][..], "AACAPwAAAL8AAIA+"),
        ] {
            assert_eq!(encode(numbers), text);
            assert_eq!(decode(text).unwrap(), numbers);
        }
        for wrong in ["A", "AAC?Pw==", "AACA", "你好"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
