//! DSML, the syntax of tool calls (spec/chat.md 6): writing, and reading a block as it arrives.

mod buffer;
mod escape;
mod read;
mod tag;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use buffer::Buffer;
pub(crate) use read::{BlockReader, Progress};
pub(crate) use tag::{Form, Kind, Match, match_tag};
pub use write::write_calls;
