//! What depends on whether a person is looking: colours, status lines, and safety of what is shown.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Ends all colours.
pub const RESET: &str = "\x1b[0m";
/// Faint text.
pub const DIM: &str = "\x1b[2m";

/// A status line is drawn anew after this time at the earliest.
const REDRAW: Duration = Duration::from_millis(100);
/// Nothing is shown of what ends sooner.
const PATIENCE: Duration = Duration::from_millis(300);

/// Writes a line to standard error. Nobody reading it is no reason to fail.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether standard output understands colours and wants them (<https://no-color.org>).
pub fn stdout_has_colour() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    std::io::stdout().is_terminal() && !plain && !dumb
}

/// Text as a terminal may show it: control characters, which could move the cursor, change the
/// window or worse, become visible signs; line feeds and tabs stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match u32::from(c) {
        // The control pictures stand in the order of the control characters.
        code @ 0..0x20 if harmful(c) => char::from_u32(0x2400 + code).unwrap_or('\u{FFFD}'),
        0x7F => '\u{2421}',
        _ if harmful(c) => '\u{FFFD}',
        _ => c,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// One line on standard error that is drawn over again; nothing unless that is a terminal.
pub struct StatusLine {
    enabled: bool,
    start: Instant,
    drawn: Option<Instant>,
}

impl StatusLine {
    /// A line that has not been drawn yet. `quiet`: never draw.
    pub fn new(quiet: bool) -> Self {
        let enabled = !quiet && std::io::stderr().is_terminal();
        Self { enabled, start: Instant::now(), drawn: None }
    }

    /// Draws the line if it is time. `text` is given the time since the start.
    pub fn show(&mut self, text: impl FnOnce(Duration) -> String) {
        let due = match self.drawn {
            None => self.start.elapsed() >= PATIENCE,
            Some(last) => last.elapsed() >= REDRAW,
        };
        if self.enabled && due {
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", text(self.start.elapsed()));
            self.drawn = Some(Instant::now());
        }
    }

    /// Wipes the line.
    pub fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn control_characters_become_signs() {
        assert_eq!(harmless("a\tb\nä😀"), "a\tb\nä😀");
        let title = "\x1b]0;owned\x07\x7f\r\u{9b}31m";
        assert_eq!(harmless(title), "␛]0;owned␇␡␍\u{FFFD}31m");
    }
}
