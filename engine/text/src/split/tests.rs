#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::pieces;

fn check(text: &str, expected: &[&str]) {
    assert_eq!(pieces(text).collect::<Vec<_>>(), expected, "of {text:?}");
}

#[test]
fn numbers_come_in_threes() {
    check("1234567 12", &["123", "456", "7", " ", "12"]);
    check("٣٤٥٦½", &["٣٤٥", "٦½"]);
}

#[test]
fn look_ahead_ends_at_the_edge_of_a_span() {
    check("a  12", &["a", "  ", "12"]);
    check("a  b", &["a", " ", " b"]);
    check("a  今", &["a", "  ", "今"]);
    check("a  ", &["a", "  "]);
}

#[test]
fn white_space_runs_end_at_their_last_newline() {
    check(" \n \n  x", &[" \n \n", " ", " x"]);
    check("x \r\n", &["x", " \r\n"]);
    check(";\n\n a", &[";\n\n", " a"]);
    check("\u{a0}\u{3000}", &["\u{a0}\u{3000}"]);
}

#[test]
fn words_take_one_character_in_front() {
    check("don't", &["don", "'t"]);
    check("'hé", &["'h", "é"]);
    check("\u{7}\u{7}a", &["\u{7}", "\u{7}a"]);
    check("\u{7}\u{7}", &["\u{7}\u{7}"]);
    check("\u{7}!\u{7}\u{200d}", &["\u{7}", "!", "\u{7}\u{200d}"]);
    check("e\u{301}x", &["e\u{301}x"]);
    check(" (a)", &[" (", "a", ")"]);
    check("“quoted” — x", &["“", "quoted", "”", " —", " x"]);
}

#[test]
fn cjk_runs_stand_alone() {
    check("混合English和", &["混合", "English", "和"]);
    check("a・b゠c", &["a", "・", "b", "゠", "c"]);
    check("・・か゛", &["・・", "か", "゛"]);
}
