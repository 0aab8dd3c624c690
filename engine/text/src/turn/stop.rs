//! Stop strings, across the borders of tokens.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

/// Looks for stop strings in a text that arrives in parts, and holds back what may be the
/// beginning of one.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopFilter {
    stops: Vec<String>,
    held: String,
}

impl StopFilter {
    /// Empty strings are ignored.
    pub(crate) fn new(stops: &[String]) -> Self {
        StopFilter { stops: stops.to_vec(), held: String::new() }
    }

    /// Whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.stops.iter().all(String::is_empty)
    }

    /// Adds text. Returns what can be given out, and the number of the stop string that was found:
    /// the one that begins first, of those the first in the list.
    pub(crate) fn push(&mut self, text: &str) -> (String, Option<usize>) {
        self.held.push_str(text);
        let stops = || self.stops.iter().enumerate().filter(|(_, stop)| !stop.is_empty());
        let found = stops()
            .filter_map(|(number, stop)| Some((self.held.find(stop.as_str())?, number)))
            .min();
        if let Some((at, number)) = found {
            let mut out = std::mem::take(&mut self.held);
            out.truncate(at);
            return (out, Some(number));
        }
        let begins = |tail: &str| stops().any(|(_, stop)| stop.starts_with(tail));
        let longest = stops().map(|(_, stop)| stop.len()).max().unwrap_or(0);
        let first = self.held.len().saturating_sub(longest);
        let keep = self
            .held
            .char_indices()
            .map(|(at, _)| at)
            .filter(|at| *at >= first)
            .find(|at| begins(self.held.get(*at..).unwrap_or_default()))
            .unwrap_or(self.held.len());
        let tail = self.held.split_off(keep);
        (std::mem::replace(&mut self.held, tail), None)
    }

    /// The text ends, or something that is no text follows: gives out what was held back.
    pub(crate) fn flush(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}
