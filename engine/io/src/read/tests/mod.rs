//! One suite, run over both engines; plus what only one of them can show.

mod engines;
mod files;
mod pieces;
mod streams;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::random::Random;

/// Long enough for any test machine, short enough to see a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Small requests and many pieces (26 for a request, so that 8 do not fit into the ring at once):
/// little data exercises everything.
fn options(choice: EngineChoice) -> EngineOptions {
    EngineOptions {
        choice,
        queue_depth: 8,
        buffers: 12,
        request_bytes_max: 100_000,
        threads: 3,
        ring_piece_bytes: 4096,
        ..EngineOptions::default()
    }
}

/// Both engines, or one where io_uring is forbidden (the reason is printed).
fn engines_with(change: impl Fn(&mut EngineOptions)) -> Vec<Box<dyn ReadEngine>> {
    let open = |choice| {
        let mut options = options(choice);
        change(&mut options);
        open_engine(options)
    };
    let mut engines = vec![open(EngineChoice::Threads).expect("threads always work")];
    match open(EngineChoice::Ring) {
        Ok(engine) => engines.push(engine),
        Err(error) => println!("not tested: {error}"),
    }
    engines
}

fn engines() -> Vec<Box<dyn ReadEngine>> {
    engines_with(|_| {})
}

/// A file of random bytes, and those bytes.
struct Sample {
    _dir: TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
}

fn sample(bytes: usize) -> Sample {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sample");
    let bytes = Random(bytes as u64).bytes(bytes);
    fs::write(&path, &bytes).unwrap();
    Sample { _dir: dir, path, bytes }
}

impl Sample {
    fn open(&self) -> Arc<ReadFile> {
        ReadFile::open(&self.path, Caching::Direct).unwrap()
    }
}

fn accept(submission: Result<Submission, ReadError>) -> Ticket {
    match submission.unwrap() {
        Submission::Accepted(ticket) => ticket,
        other => panic!("not accepted: {other:?}"),
    }
}

fn complete(engine: &mut dyn ReadEngine) -> Completion {
    engine.wait(PATIENCE).unwrap().expect("a completion within the test's patience")
}

/// Waits until all buffers are back; the threads of a dropped engine finish in their own time.
fn all_buffers_return(pool: &BufferPool) -> bool {
    for _ in 0..1000 {
        if pool.buffers_free() == pool.buffers() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
