//! Tasks and the threads that do them.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use ds4_format::quant::Quant;
use ds4_format::quant::encode::Encoder;

use super::journal::Journal;
use super::{Options, Progress, Target, threads};
use crate::QuantizeError;
use crate::importance::Importance;
use crate::limits::TASK_VALUES;
use crate::source::{Element, Part};

/// How often the caller hears of progress.
const REPORT: Duration = Duration::from_millis(100);

/// Some rows of a part.
struct Task {
    target: usize,
    part: usize,
    first: usize,
    rows: usize,
}

/// What a thread tells.
enum Event {
    /// So many bytes of this target are written.
    Written(usize, u64),
    Failed(QuantizeError),
}

/// Does everything that is left to do.
pub(super) fn run(
    targets: &[Target<'_>],
    journal: &mut Journal,
    options: &Options,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), QuantizeError> {
    let tasks: Vec<Task> = targets
        .iter()
        .enumerate()
        .filter(|(_, target)| !journal.is_done(target.name))
        .flat_map(|(index, target)| tasks_of(index, target))
        .collect();
    let file = journal.file().try_clone().map_err(QuantizeError::file("write", journal.part()))?;
    let part = journal.part().to_path_buf();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = channel();
    let importance = options.importance.as_ref();
    std::thread::scope(|scope| {
        for _ in 0..threads(options) {
            let (sender, file, part) = (sender.clone(), &file, part.as_path());
            let (tasks, next, stop) = (&tasks, &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed)
                    && let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed))
                    && do_task(task, targets, importance, (file, part), &sender)
                {}
            });
        }
        drop(sender);
        let resumed = targets.iter().filter(|target| journal.is_done(target.name));
        let resumed: u64 = resumed.map(|target| target.bytes).sum();
        let total = targets.iter().map(|target| target.bytes).sum();
        let mut state = Progress { done: resumed, total, resumed };
        let mut left: Vec<u64> = targets.iter().map(|target| target.bytes).collect();
        let mut result = Ok(());
        // The end comes when the last thread drops its sender.
        loop {
            match receiver.recv_timeout(REPORT) {
                Ok(Event::Written(target, bytes)) => {
                    state.done += bytes;
                    left[target] = left[target].saturating_sub(bytes);
                    if left[target] == 0 && result.is_ok() {
                        result = journal.finished(targets[target].name);
                    }
                }
                Ok(Event::Failed(error)) => result = result.and(Err(error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if result.is_ok() && progress(state).is_break() {
                result = Err(QuantizeError::Stopped);
            }
            stop.fetch_or(result.is_err(), Ordering::Relaxed);
        }
        // What is finished stays finished, whatever else went wrong.
        let noted = journal.note();
        result.and(noted)
    })
}

fn tasks_of<'a>(index: usize, target: &'a Target<'_>) -> impl Iterator<Item = Task> + use<'a> {
    target.source.parts.iter().enumerate().flat_map(move |(number, part)| {
        let rows = (TASK_VALUES / part.width.max(1)).clamp(1, part.rows.max(1));
        (0..part.rows).step_by(rows).map(move |first| Task {
            target: index,
            part: number,
            first,
            rows: rows.min(part.rows - first),
        })
    })
}

/// Does one task and tells; false if it failed.
fn do_task(
    task: &Task,
    targets: &[Target<'_>],
    importance: Option<&Importance>,
    (file, path): (&File, &Path),
    sender: &Sender<Event>,
) -> bool {
    let target = &targets[task.target];
    let written = encode(task, target, importance).and_then(|bytes| {
        let before: usize = target.source.parts[..task.part].iter().map(|part| part.rows).sum();
        let rows = (before + task.first) as u64;
        let row_bytes = bytes.len() as u64 / task.rows.max(1) as u64;
        write_at(file, path, target.offset + rows * row_bytes, &bytes)?;
        Ok(bytes.len() as u64)
    });
    let (event, done) = match written {
        Ok(bytes) => (Event::Written(task.target, bytes), true),
        Err(error) => (Event::Failed(error), false),
    };
    // A receiver that is gone has an error already.
    sender.send(event).is_ok() && done
}

/// The bytes of a task's rows in the target's format.
fn encode(
    task: &Task,
    target: &Target<'_>,
    importance: Option<&Importance>,
) -> Result<Vec<u8>, QuantizeError> {
    let part = &target.source.parts[task.part];
    let stored = match part.element {
        Element::Blocks(quant) => Some(quant),
        _ => None,
    };
    if target.quant == Quant::I32 {
        return part.read_ids(task.first, task.rows);
    }
    if stored == Some(target.quant) {
        return part.read_bytes(task.first, task.rows);
    }
    let values = part.read_values(task.first, task.rows)?;
    let mut bytes = Vec::new();
    // Rows of one group share their inputs; a task may span groups.
    let groups = importance
        .map_or(1, |importance| importance.groups(target.name, target.source.parts.len()));
    let group_rows = part.rows.div_ceil(groups.max(1)).max(1);
    let mut at = 0;
    while at < task.rows {
        let row = task.first + at;
        let group = row / group_rows;
        let rows = (task.rows - at).min((group + 1) * group_rows - row);
        let weights = importance
            .and_then(|importance| importance.weights(target.name, task.part * groups + group));
        let encoder = match weights.filter(|_| target.quant.block_len() > 1) {
            Some(weights) => Encoder::with_importance(target.quant, weights),
            None => Encoder::new(target.quant, part.width),
        };
        let rows_of = &values[at * part.width..(at + rows) * part.width];
        encoder
            .and_then(|encoder| encoder.encode(rows_of, &mut bytes))
            .map_err(|error| fault(part, row, error))?;
        at += rows;
    }
    Ok(bytes)
}

fn fault(part: &Part, row: usize, error: ds4_format::quant::encode::EncodeError) -> QuantizeError {
    let (path, tensor) = (part.file.path().to_path_buf(), part.name.clone());
    QuantizeError::Encode { path, tensor, row, error }
}

pub(super) fn write_at(
    file: &File,
    path: &Path,
    offset: u64,
    bytes: &[u8],
) -> Result<(), QuantizeError> {
    file.write_all_at(bytes, offset).map_err(QuantizeError::file("write", path))
}
