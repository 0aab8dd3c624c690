#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::escape::{
    Escape, decode_entities, escape_attribute, escape_value, read_value_escape, unescape_attribute,
};
use super::{Buffer, Form, Kind, Match, match_tag};

fn unescape_value(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (bytes, meaning) = match read_value_escape(rest) {
            Escape::Is(bytes, meaning) if first == '&' => (bytes, meaning),
            _ => (first.len_utf8(), &rest[..first.len_utf8()]),
        };
        out.push_str(meaning);
        rest = &rest[bytes..];
    }
    out
}

#[test]
fn escaping_is_undone_and_touches_little() {
    let close = "</｜DSML｜parameter>";
    for (value, escaped) in [
        ("a < b && c > d &amp; &lt;", "a < b && c > d &amp; &lt;"),
        (close, "&lt;/｜DSML｜parameter>"),
        ("&lt;/｜DSML｜parameter>", "&amp;lt;/｜DSML｜parameter>"),
        ("&&amp;lt;/｜DSML｜parameter>", "&&amp;amp;lt;/｜DSML｜parameter>"),
        ("</｜DSML｜invoke>", "</｜DSML｜invoke>"),
        (
            "<</｜DSML｜parameter>&amp;</｜DSML｜parameter>",
            "<&lt;/｜DSML｜parameter>&amp;&lt;/｜DSML｜parameter>",
        ),
    ] {
        assert_eq!(escape_value(value), escaped);
        assert_eq!(unescape_value(escaped), value);
    }
    for (name, escaped) in [
        ("a\"b'c&d", "a\"b'c&d"),
        ("a\">", "a&quot;>"),
        ("a\" string=", "a&quot; string="),
        ("&quot;", "&amp;quot;"),
        ("&amp;quot;\"\n", "&amp;amp;quot;&quot;\n"),
    ] {
        assert_eq!(escape_attribute(name), escaped);
        assert_eq!(unescape_attribute(escaped), name);
    }
    assert_eq!(decode_entities("&lt;a&gt; &amp;lt; &quot;&apos;&x"), "<a> &lt; \"'&x");
}

#[test]
fn a_partial_escape_waits() {
    for partial in ["&", "&a", "&amp;", "&amp;am", "&lt", "&lt;/｜DSML", "&amp;lt;/"] {
        assert_eq!(read_value_escape(partial), Escape::Partial, "{partial}");
    }
    for ordinary in ["&b", "&&", "&amp;x", "&lt;/x", "&amp;&"] {
        assert_eq!(read_value_escape(ordinary), Escape::Not, "{ordinary}");
    }
}

/// `#` stands for the marker token.
fn at_start(text: &str) -> Match {
    let mut buffer = Buffer::default();
    for (place, part) in text.split('#').enumerate() {
        if place > 0 {
            buffer.push_mark();
        }
        buffer.push_text(part);
    }
    match_tag(&buffer, 0, false)
}

#[test]
fn tags_in_every_form() {
    for (text, form, kind, closing, name, string) in [
        ("<#tool_calls>", Form::Marked, Kind::Calls, false, "", None),
        ("</#tool_calls >x", Form::Marked, Kind::Calls, true, "", None),
        ("<｜DSML｜function_calls>", Form::Spelled, Kind::Calls, false, "", None),
        ("<DSML｜invoke name=\"f\">", Form::Short, Kind::Invoke, false, "f", None),
        ("<INVOKE  name = 'f'>", Form::Plain, Kind::Invoke, false, "f", None),
        ("<#invoke name=\"a\"b\">", Form::Marked, Kind::Invoke, false, "a\"b", None),
        ("<#invoke name=\"a > b\">", Form::Marked, Kind::Invoke, false, "a > b", None),
        (
            "<#parameter string=\"False\" name=\"k\" x=\"y\">",
            Form::Marked,
            Kind::Parameter,
            false,
            "k",
            Some(false),
        ),
        (
            "<#parameter name=\"a\" b\" string=\"true\">",
            Form::Marked,
            Kind::Parameter,
            false,
            "a\" b",
            Some(true),
        ),
        ("</parameter\n>", Form::Plain, Kind::Parameter, true, "", None),
    ] {
        let Match::Tag(tag) = at_start(text) else { panic!("no tag in {text}") };
        let found = (tag.form, tag.kind, tag.closing, tag.name.as_str(), tag.string);
        assert_eq!(found, (form, kind, closing, name, string), "{text}");
    }
    for text in [
        "<b>",
        "<#x>",
        "< #invoke>",
        "<#DSML｜invoke>",
        "<invoker>",
        "<#invoke>",
        "<#invoke name=f>",
        "</x",
    ] {
        assert_eq!(at_start(text), Match::No, "{text}");
    }
}

#[test]
fn every_beginning_of_a_tag_waits() {
    for tag in [
        "<｜DSML｜parameter name=\"a\" string=\"true\">",
        "</｜DSML｜tool_calls>",
        "<DSML｜invoke name='x' >",
        "<function_calls>",
    ] {
        for (end, _) in tag.char_indices().skip(1) {
            assert_eq!(at_start(&tag[..end]), Match::Partial, "{}", &tag[..end]);
        }
    }
}
