//! The byte-level alphabet: every byte is written as one printable character.
//!
//! Printable ASCII and most of Latin-1 stand for themselves; the other 68 bytes are written, in
//! ascending order, as the characters from U+0100 on. A space is therefore `Ġ`, a newline `Ċ`.

/// One past the last character of the alphabet.
const END: usize = 256 + 68;

/// No byte is written with this character.
const NONE: u16 = u16::MAX;

static BYTE_OF: [u16; END] = byte_of();

/// The byte that `c` stands for.
pub(crate) fn byte(c: char) -> Option<u8> {
    let byte = *BYTE_OF.get(c as usize)?;
    u8::try_from(byte).ok()
}

/// The character that stands for `byte`.
pub(crate) fn letter(byte: u8) -> char {
    if stands_for_itself(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !stands_for_itself(*b)).count() as u32;
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

const fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

const fn byte_of() -> [u16; END] {
    let mut table = [NONE; END];
    let mut next = 256;
    let mut byte = 0;
    while byte < 256 {
        if stands_for_itself(byte as u8) {
            table[byte] = byte as u16;
        } else {
            table[next] = byte as u16;
            next += 1;
        }
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_letter() {
        for b in 0..=255u8 {
            assert_eq!(byte(letter(b)), Some(b));
        }
        assert_eq!((letter(b' '), letter(b'\n'), letter(b'a')), ('Ġ', 'Ċ', 'a'));
    }

    #[test]
    fn other_characters_stand_for_nothing() {
        for c in [' ', '\n', '\u{7f}', '\u{ad}', '\u{144}', '你', '\u{10ffff}'] {
            assert_eq!(byte(c), None, "{c:?}");
        }
    }
}
