//! Any bytes, divided anyhow, through the streaming decoder: the text must be the lossy decoding of
//! the whole, no part may hold half a character, and no more than three bytes wait.
#![no_main]

use ds4_text::StreamDecoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    let mut decoder = StreamDecoder::new();
    let mut text = String::new();
    let mut rest = bytes;
    let mut state = usize::from(cut);
    let mut given = 0;
    while !rest.is_empty() {
        state = state.wrapping_mul(31).wrapping_add(7) % 257;
        let (head, tail) = rest.split_at((state % 7).min(rest.len()));
        decoder.push_into(head, &mut text);
        given += head.len();
        // Everything up to the last three bytes has been decided.
        let decided = String::from_utf8_lossy(&bytes[..given.saturating_sub(3)]);
        let shown = text.chars().count();
        assert!(shown + 3 >= decided.chars().count());
        rest = tail;
    }
    text.push_str(decoder.finish());
    assert_eq!(text, String::from_utf8_lossy(bytes));
    assert!(!decoder.is_pending());
});
