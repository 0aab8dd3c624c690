//! The loop around an engine: keep the queue full, hand out blobs as they come.

use std::collections::HashMap;
use std::sync::Arc;

use super::engine::{Completion, ReadEngine, Submission, Ticket};
use super::error::ReadError;
use super::file::ReadFile;
use super::pool::Blob;

/// One range to read, with a name of the caller's choice.
#[derive(Clone, Debug)]
pub struct ReadRange<T> {
    /// The file.
    pub file: Arc<ReadFile>,
    /// Start in the file, in bytes; any alignment.
    pub offset: u64,
    /// Length in bytes; at most the engine's `request_bytes_max`.
    pub bytes: usize,
    /// Handed to the consumer with the bytes.
    pub tag: T,
}

/// Reads all `ranges` and calls `deliver(tag, blob)` for each, in the order in which the reads
/// finish, on the calling thread.
///
/// `deliver` should be quick: move the blob to a worker (it is `Send`) and return. The buffer goes
/// back to the pool when the blob is dropped, so slow workers slow the reading down and host
/// memory stays bounded. The iterator is advanced only when there is room for another read.
///
/// # Errors
/// The first error of a read or of `deliver`; the reads still in flight are cancelled and the
/// engine is idle and usable afterwards. [`ReadError::Busy`] if the engine was not idle.
/// [`ReadError::Starved`] if no blob is dropped for long, [`ReadError::Stalled`] if no read ends.
pub fn read_ranges<T, E: From<ReadError>>(
    engine: &mut dyn ReadEngine,
    ranges: impl IntoIterator<Item = ReadRange<T>>,
    mut deliver: impl FnMut(T, Blob) -> Result<(), E>,
) -> Result<(), E> {
    if engine.in_flight() > 0 {
        return Err(ReadError::Busy { in_flight: engine.in_flight() }.into());
    }
    let mut tags = HashMap::new();
    let result = run(engine, ranges.into_iter(), &mut deliver, &mut tags);
    if result.is_err() {
        abandon(engine, tags.keys().copied())?;
    }
    result
}

fn run<T, E: From<ReadError>>(
    engine: &mut dyn ReadEngine,
    mut ranges: impl Iterator<Item = ReadRange<T>>,
    deliver: &mut impl FnMut(T, Blob) -> Result<(), E>,
    tags: &mut HashMap<Ticket, T>,
) -> Result<(), E> {
    let mut held_back: Option<ReadRange<T>> = None;
    loop {
        while let Some(range) = held_back.take().or_else(|| ranges.next()) {
            match engine.submit(&range.file, range.offset, range.bytes)? {
                Submission::Accepted(ticket) => {
                    tags.insert(ticket, range.tag);
                }
                Submission::QueueFull | Submission::NoBuffer => {
                    held_back = Some(range);
                    break;
                }
            }
        }
        if engine.in_flight() > 0 {
            let Completion { ticket, result } = next_completion(engine)?;
            let blob = result?;
            if let Some(tag) = tags.remove(&ticket) {
                deliver(tag, blob)?;
            }
        } else if held_back.is_some() {
            wait_for_buffer(engine)?;
        } else {
            return Ok(());
        }
    }
}

fn next_completion(engine: &mut dyn ReadEngine) -> Result<Completion, ReadError> {
    let timeout = engine.info().options.stalled_timeout;
    engine.wait(timeout)?.ok_or_else(|| ReadError::Stalled {
        seconds: timeout.as_secs(),
        in_flight: engine.in_flight(),
    })
}

/// Nothing is in flight, so every buffer is held by the consumer.
fn wait_for_buffer(engine: &dyn ReadEngine) -> Result<(), ReadError> {
    let timeout = engine.info().options.starved_timeout;
    if engine.pool().wait_free(timeout) {
        return Ok(());
    }
    Err(ReadError::Starved { buffers: engine.pool().buffers(), seconds: timeout.as_secs() })
}

fn abandon(
    engine: &mut dyn ReadEngine,
    tickets: impl Iterator<Item = Ticket>,
) -> Result<(), ReadError> {
    for ticket in tickets {
        engine.cancel(ticket);
    }
    while engine.in_flight() > 0 {
        // Results no longer matter; a disk that hangs does.
        let _ = next_completion(engine)?.result;
    }
    Ok(())
}
