//! The byte-level alphabet: one printable character for each byte, so that a vocabulary can be
//! written as text. Printable Latin-1 bytes stand for themselves, the other 68, in order, for
//! U+0100 and up (space is "Ġ", newline "Ċ").

/// Whether the byte is written as itself.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The byte that each character of the alphabet stands for.
pub(super) struct Alphabet {
    /// Indexed by code point; every character of the alphabet lies below U+0144.
    bytes: [Option<u8>; 0x144],
}

impl Alphabet {
    pub(super) fn new() -> Self {
        let mut bytes = [None; 0x144];
        let mut next = 0x100;
        for byte in 0..=u8::MAX {
            let place = if is_plain(byte) { usize::from(byte) } else { next };
            next += usize::from(!is_plain(byte));
            bytes[place] = Some(byte);
        }
        Alphabet { bytes }
    }

    /// The byte that `character` stands for.
    pub(super) fn byte(&self, character: char) -> Option<u8> {
        self.bytes.get(u32::from(character) as usize).copied().flatten()
    }

    /// Appends the bytes of a token; false, with `out` unchanged, if it is not in the alphabet.
    pub(super) fn decode(&self, token: &str, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        for character in token.chars() {
            let Some(byte) = self.byte(character) else {
                out.truncate(start);
                return false;
            };
            out.push(byte);
        }
        true
    }
}
