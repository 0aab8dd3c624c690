//! The fallback engine: a fixed pool of threads, each doing one `pread` at a time.
//!
//! A job owns everything it needs (file, buffer), so the engine can be dropped with jobs running:
//! the threads finish the call they are in, find the queue closed and end by themselves.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::engine::{
    Completion, EngineInfo, EngineKind, EngineOptions, ReadEngine, Submission, Ticket,
    check_request,
};
use super::error::ReadError;
use super::file::ReadFile;
use super::piece::{Next, Piece, Widened};
use super::pool::{Blob, BufferPool, PooledBuffer};

pub(super) struct ThreadEngine {
    info: EngineInfo,
    pool: BufferPool,
    queue: Arc<Queue>,
    finished: Receiver<Completion>,
    /// Finished without a thread: requests of zero bytes, and those cancelled in the queue.
    ready: VecDeque<Completion>,
    /// Accepted and not yet taken by the caller.
    pending: HashMap<Ticket, Pending>,
    next_ticket: u64,
}

/// Jobs waiting for a thread; closed when the engine is dropped.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Job {
    ticket: Ticket,
    file: Arc<ReadFile>,
    offset: u64,
    bytes: usize,
    buffer: PooledBuffer,
}

struct Pending {
    file: Arc<ReadFile>,
    offset: u64,
    cancelled: bool,
}

impl ThreadEngine {
    pub fn open(
        options: EngineOptions,
        pool: BufferPool,
        notes: Vec<String>,
    ) -> Result<Self, ReadError> {
        let queue = Arc::new(Queue::default());
        let (sender, finished) = channel();
        let engine = Self {
            info: EngineInfo {
                kind: EngineKind::Threads,
                notes,
                options,
                buffers_registered: false,
                files_registered: false,
            },
            pool,
            queue,
            finished,
            ready: VecDeque::new(),
            pending: HashMap::new(),
            next_ticket: 0,
        };
        for index in 0..engine.info.options.threads {
            let (queue, sender) = (Arc::clone(&engine.queue), sender.clone());
            std::thread::Builder::new()
                .name(format!("ds4-read-{index}"))
                .spawn(move || queue.run(&sender))
                .map_err(|source| ReadError::Engine { what: "starting a thread", source })?;
        }
        Ok(engine)
    }

    fn accept(&mut self, file: &Arc<ReadFile>, offset: u64) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.pending.insert(ticket, Pending { file: Arc::clone(file), offset, cancelled: false });
        ticket
    }

    fn finish(&mut self, mut completion: Completion) -> Completion {
        if let Some(pending) = self.pending.remove(&completion.ticket)
            && pending.cancelled
        {
            completion.result = Err(pending.file.cancelled(pending.offset));
        }
        completion
    }
}

impl ReadEngine for ThreadEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn pool(&self) -> &BufferPool {
        &self.pool
    }

    fn submit(
        &mut self,
        file: &Arc<ReadFile>,
        offset: u64,
        bytes: usize,
    ) -> Result<Submission, ReadError> {
        check_request(&self.pool, &self.info.options, file, offset, bytes)?;
        if self.in_flight() >= self.info.options.queue_depth {
            return Ok(Submission::QueueFull);
        }
        if bytes == 0 {
            let ticket = self.accept(file, offset);
            self.ready.push_back(Completion { ticket, result: Ok(Blob::empty()) });
            return Ok(Submission::Accepted(ticket));
        }
        let Some(buffer) = self.pool.take() else { return Ok(Submission::NoBuffer) };
        let ticket = self.accept(file, offset);
        let file = Arc::clone(file);
        self.queue.lock().jobs.push_back(Job { ticket, file, offset, bytes, buffer });
        self.queue.changed.notify_one();
        Ok(Submission::Accepted(ticket))
    }

    fn cancel(&mut self, ticket: Ticket) {
        let Some(pending) = self.pending.get_mut(&ticket) else { return };
        pending.cancelled = true;
        let mut state = self.queue.lock();
        if let Some(index) = state.jobs.iter().position(|job| job.ticket == ticket) {
            // Never started: give the buffer back now.
            drop(state.jobs.remove(index));
            self.ready.push_back(Completion { ticket, result: Ok(Blob::empty()) });
        }
    }

    fn in_flight(&self) -> usize {
        self.pending.len()
    }

    fn wait(&mut self, timeout: Duration) -> Result<Option<Completion>, ReadError> {
        if let Some(completion) = self.ready.pop_front() {
            return Ok(Some(self.finish(completion)));
        }
        if self.pending.is_empty() {
            return Ok(None);
        }
        let received = if timeout.is_zero() {
            self.finished.try_recv().map_err(|error| error == TryRecvError::Disconnected)
        } else {
            let received = self.finished.recv_timeout(timeout);
            received.map_err(|error| error == RecvTimeoutError::Disconnected)
        };
        match received {
            Ok(completion) => Ok(Some(self.finish(completion))),
            Err(false) => Ok(None),
            Err(true) => {
                let source = std::io::Error::other("all reading threads have ended");
                Err(ReadError::Engine { what: "waiting for a read", source })
            }
        }
    }
}

impl Drop for ThreadEngine {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.closed = true;
        let abandoned = std::mem::take(&mut state.jobs);
        drop(state);
        drop(abandoned);
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Body of one thread.
    fn run(&self, sender: &Sender<Completion>) {
        while let Some(job) = self.next() {
            let Job { ticket, file, offset, bytes, buffer } = job;
            let result = read_blob(&file, offset, bytes, buffer);
            // Whoever sees the buffer return may count on the file being released too.
            drop(file);
            if sender.send(Completion { ticket, result }).is_err() {
                return;
            }
        }
    }

    /// Waits for a job; `None` when the engine is gone.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn read_blob(
    file: &ReadFile,
    offset: u64,
    bytes: usize,
    mut buffer: PooledBuffer,
) -> Result<Blob, ReadError> {
    let widened = Widened::new(offset, bytes);
    let wanted = widened.head_bytes..widened.head_bytes + bytes;
    let mut piece = Piece::direct(widened.file_offset, 0..widened.bytes, wanted.end);
    while !piece.is_complete() {
        if !file.is_direct() {
            piece.read_cached();
        }
        let target = &mut buffer.as_mut_slice()[piece.rest()];
        let descriptor = file.descriptor(piece.is_cached());
        match piece.advance(rustix::io::pread(descriptor, target, piece.file_offset())) {
            Next::Complete | Next::Again => {}
            Next::NotDirect => file.stop_direct(),
            Next::Failed(errno) => return Err(file.failed(piece.file_offset(), errno)),
            Next::EndOfFile => return Err(file.shrunk(offset, piece.file_offset())),
        }
    }
    Ok(Blob::new(buffer, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_end_with_their_engine() {
        let options = EngineOptions::default();
        let pool = BufferPool::new(1, 4096).unwrap();
        let engine = ThreadEngine::open(options, pool, Vec::new()).unwrap();
        let queue = Arc::downgrade(&engine.queue);
        assert_eq!(queue.strong_count(), 5, "four threads and the engine");
        drop(engine);
        for _ in 0..1000 {
            if queue.strong_count() == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{} threads still run", queue.strong_count());
    }
}
