//! Splits a source text into code and comments, so that a rule about one is never confused by the
//! other, nor by the content of a string.
//!
//! Both halves have the length and the line breaks of the text: what does not belong to a half is
//! blanked, so byte offsets and line numbers agree between text, code and comments.

/// What a file is written in, as far as comments and strings go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust: nested block comments, raw strings, lifetimes.
    Rust,
    /// WGSL and CUDA C++.
    CLike,
    /// Python: `#`, and triple-quoted strings, which count as comments.
    Python,
    /// Anything else: the whole text is both code and comment.
    Plain,
}

/// A text taken apart.
#[derive(Debug)]
pub struct Masked {
    /// The text without comments and without the content of strings.
    pub code: String,
    /// The comments alone.
    pub comments: String,
}

/// Takes `text` apart.
pub fn mask(text: &str, language: Language) -> Masked {
    if language == Language::Plain {
        return Masked { code: text.to_owned(), comments: text.to_owned() };
    }
    let mut halves = Halves { code: String::new(), comments: String::new() };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = next_piece(rest, first, language, previous_byte(text, rest));
        let (piece, after) = rest.split_at(length);
        halves.push(piece, kind);
        rest = after;
    }
    Masked { code: halves.code, comments: halves.comments }
}

/// Blanks the Rust items that exist in tests only (`#[cfg(test)]`), given masked code.
pub fn without_test_items(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = find_test_attribute(rest) {
        let (before, item) = rest.split_at(start);
        let (test, after) = item.split_at(item_length(item));
        out.push_str(before);
        push_blank(&mut out, test);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Text,
}

struct Halves {
    code: String,
    comments: String,
}

impl Halves {
    fn push(&mut self, piece: &str, kind: Kind) {
        match kind {
            Kind::Code => {
                self.code.push_str(piece);
                push_blank(&mut self.comments, piece);
            }
            Kind::Comment => {
                push_blank(&mut self.code, piece);
                self.comments.push_str(piece);
            }
            Kind::Text => {
                push_blank(&mut self.code, piece);
                push_blank(&mut self.comments, piece);
            }
        }
    }
}

fn push_blank(out: &mut String, piece: &str) {
    out.extend(piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

fn previous_byte(text: &str, rest: &str) -> Option<u8> {
    text.as_bytes().get((text.len() - rest.len()).checked_sub(1)?).copied()
}

/// Kind and length in bytes of the piece that `rest` begins with.
fn next_piece(rest: &str, first: char, language: Language, previous: Option<u8>) -> (Kind, usize) {
    if language == Language::Python {
        return next_python_piece(rest, first);
    }
    let in_word = previous.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if rest.starts_with("//") {
        return (Kind::Comment, line_length(rest));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment_length(rest, language == Language::Rust));
    }
    if first == '"' {
        return (Kind::Text, quoted_length(rest, '"'));
    }
    if language == Language::Rust
        && !in_word
        && let Some(length) = raw_string_length(rest)
    {
        return (Kind::Text, length);
    }
    if first == '\'' {
        // A lifetime has no closing quote right after its first character.
        let mut after = rest.chars().skip(1);
        let is_character = after.next() == Some('\\') || after.next() == Some('\'');
        if is_character {
            return (Kind::Text, quoted_length(rest, '\''));
        }
    }
    (Kind::Code, first.len_utf8())
}

fn next_python_piece(rest: &str, first: char) -> (Kind, usize) {
    for triple in ["\"\"\"", "'''"] {
        if let Some(body) = rest.strip_prefix(triple) {
            return (Kind::Comment, body.find(triple).map_or(rest.len(), |end| end + 6));
        }
    }
    match first {
        '#' => (Kind::Comment, line_length(rest)),
        '"' | '\'' => (Kind::Text, quoted_length(rest, first)),
        _ => (Kind::Code, first.len_utf8()),
    }
}

fn line_length(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

fn block_comment_length(rest: &str, nested: bool) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") && (nested || depth == 0) {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length of a quoted text with backslash escapes, quotes included.
fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + quote.len_utf8();
        }
    }
    rest.len()
}

/// Length of a raw string (`r"..."`, `br#"..."#`) at the head of `rest`.
fn raw_string_length(rest: &str) -> Option<usize> {
    let after_prefix = ["br", "cr", "r"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let body = after_prefix.trim_start_matches('#');
    let hashes = after_prefix.len() - body.len();
    let body = body.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(body.len(), |end| end + close.len());
    Some(rest.len() - body.len() + end)
}

fn find_test_attribute(code: &str) -> Option<usize> {
    ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|needle| code.find(needle)).min()
}

/// Length of the item that starts with an attribute: up to its semicolon or closing brace.
fn item_length(item: &str) -> usize {
    let mut depth = 0usize;
    for (at, byte) in item.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && byte == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_leave_the_code() {
        let text = "let a = \"// no \\\" comment\"; // yes\n/* a /* b */ c */ let b = 'x';\n";
        let masked = mask(text, Language::Rust);
        assert_eq!(masked.code.len(), text.len());
        assert_eq!(masked.comments.len(), text.len());
        let words: Vec<&str> = masked.code.split_whitespace().collect();
        assert_eq!(words, ["let", "a", "=", ";", "let", "b", "=", ";"]);
        assert!(masked.comments.contains("// yes"));
        assert!(masked.comments.contains("/* a /* b */ c */"));
        assert!(!masked.comments.contains("no"));
    }

    #[test]
    fn raw_strings_and_lifetimes() {
        let text =
            "fn f<'a>(x: &'a str) { g(r#\"unsafe \" \"#, br\"dbg\", '\\'', '\"', b'{') } // é\n";
        let masked = mask(text, Language::Rust);
        assert!(masked.code.contains("fn f<'a>(x: &'a str) { g("));
        assert!(!masked.code.contains("unsafe") && !masked.code.contains("dbg"));
        assert!(masked.code.trim_end().ends_with('}'));
        assert!(masked.comments.contains("// é"));
    }

    #[test]
    fn identifiers_ending_in_r_open_no_raw_string() {
        let masked = mask("for\"a\" + unsafe", Language::Rust);
        assert!(masked.code.contains("unsafe"));
    }

    #[test]
    fn an_open_string_or_comment_ends_with_the_text() {
        for text in ["let a = \"x", "/* x", "r#\"x", "'\\"] {
            assert_eq!(mask(text, Language::Rust).code.len(), text.len());
        }
    }

    #[test]
    fn python_docstrings_are_comments() {
        let masked = mask("\"\"\"head\n\"\"\"\nx = '# no'  # yes\n", Language::Python);
        assert!(masked.comments.contains("head") && masked.comments.contains("# yes"));
        assert!(!masked.comments.contains("no"));
        assert!(masked.code.contains("x ="));
    }

    #[test]
    fn test_items_are_blanked_and_lines_kept() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { c(); }\n}\nfn d() {}\n";
        let product = without_test_items(code);
        assert_eq!(product.lines().count(), code.lines().count());
        assert!(product.contains("fn a") && product.contains("fn d"));
        assert!(!product.contains("fn b"));
        assert!(!without_test_items("#[cfg(test)]\nmod tests;\n").contains("mod"));
    }
}
