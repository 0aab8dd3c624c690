#![allow(unsafe_code)]
//! The io_uring engine.
//!
//! A request is cut into pieces; each piece is one entry of the ring. Pieces wait in `queued`
//! until the ring has room, so the completion queue can never overflow.
//!
//! Invariants behind the `unsafe` block:
//! * An entry given to the kernel names a buffer and a descriptor that live in a `Slot` (as
//!   `PooledBuffer` and `Arc<ReadFile>`). A slot is emptied only when `pieces_open` is zero, and a
//!   piece counts as open until its completion was seen.
//! * No slice of a slot's buffer is made while a piece is open.
//! * Pieces of one request cover disjoint parts of its buffer, inside the buffer's length.
//! * `drop` waits for all pieces; what does not finish in time is leaked, buffer included.
//! * Registered buffers are pinned pages of the pool's mappings. The pool never remaps a buffer, so
//!   table index and address always name the same memory.

mod files;
mod setup;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;

use self::files::FileTable;
use super::engine::{
    Completion, EngineInfo, EngineKind, EngineOptions, ReadEngine, Submission, Ticket,
    check_request,
};
use super::error::ReadError;
use super::file::ReadFile;
use super::piece::{Next, Piece, Widened};
use super::pool::{Blob, BufferPool, PooledBuffer};
use crate::limits::{RING_DRAIN_TIMEOUT, RING_ENTRIES_MAX, RING_WAIT_MAX};

pub(super) struct RingEngine {
    info: EngineInfo,
    ring: IoUring,
    entries_max: usize,
    files: FileTable,
    slots: Vec<Option<Slot>>,
    /// Pieces that wait for room in the ring.
    queued: VecDeque<PieceId>,
    /// Entries pushed to the ring whose completion was not seen yet.
    in_kernel: usize,
    /// Finished, to be taken by the caller.
    ready: VecDeque<Completion>,
    next_ticket: u64,
    pool: BufferPool,
}

/// One request.
struct Slot {
    ticket: Ticket,
    file: Arc<ReadFile>,
    offset: u64,
    /// The wanted bytes inside the buffer.
    wanted: Range<usize>,
    buffer: PooledBuffer,
    pieces: Vec<Piece>,
    /// Pieces queued or in the kernel.
    pieces_open: usize,
    /// Set once; the remaining pieces are then dropped.
    error: Option<ReadError>,
}

/// Names a piece: in `queued`, and as the user data of its ring entry.
#[derive(Clone, Copy)]
struct PieceId {
    slot: u32,
    piece: u32,
}

impl PieceId {
    fn to_user_data(self) -> u64 {
        (u64::from(self.slot) << 32) | u64::from(self.piece)
    }

    fn from_user_data(data: u64) -> Self {
        Self { slot: (data >> 32) as u32, piece: data as u32 }
    }
}

impl RingEngine {
    /// Sets the ring up and proves with one empty operation that it works.
    ///
    /// # Errors
    /// Why io_uring cannot be used here, in words.
    pub fn open(options: EngineOptions, pool: BufferPool) -> Result<Self, String> {
        let pieces_per_request = pool.buffer_bytes().div_ceil(options.ring_piece_bytes);
        let entries_max = (options.queue_depth * pieces_per_request).min(RING_ENTRIES_MAX);
        let ring = setup::build(entries_max)?;
        let files = FileTable::register(&ring);
        let registered = setup::register_buffers(&ring, &pool);
        let info = EngineInfo {
            kind: EngineKind::Ring,
            buffers_registered: registered.is_ok(),
            files_registered: files.is_registered(),
            notes: registered.err().into_iter().collect(),
            options,
        };
        Ok(Self {
            slots: (0..info.options.queue_depth).map(|_| None).collect(),
            info,
            ring,
            entries_max,
            files,
            queued: VecDeque::new(),
            in_kernel: 0,
            ready: VecDeque::new(),
            next_ticket: 0,
            pool,
        })
    }

    fn next_ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Moves queued pieces into the ring as long as there is room.
    fn fill(&mut self) {
        while self.in_kernel < self.entries_max
            && let Some(id) = self.queued.pop_front()
        {
            let entry = self.entry(id);
            // SAFETY: the entry's buffer and descriptor stay alive in the slot until the piece's
            // completion is seen (head comment).
            if unsafe { self.ring.submission().push(&entry) }.is_err() {
                self.queued.push_front(id);
                return;
            }
            self.in_kernel += 1;
        }
    }

    /// The ring entry that reads the rest of a piece.
    fn entry(&mut self, id: PieceId) -> squeue::Entry {
        let slot = self.slots[id.slot as usize].as_mut().expect("queued pieces have a slot");
        let piece = &mut slot.pieces[id.piece as usize];
        if !slot.file.is_direct() {
            piece.read_cached();
        }
        let (rest, offset) = (piece.rest(), piece.file_offset());
        let bytes = u32::try_from(rest.len()).expect("pieces are shorter than 4 GiB");
        let index = slot.buffer.index();
        assert!(rest.end <= slot.buffer.bytes());
        let address = slot.buffer.as_mut_ptr().wrapping_add(rest.start);
        let file = self.files.lookup(&self.ring, &slot.file, piece.is_cached());
        let registered = self.info.buffers_registered;
        let entry = match (file, registered) {
            (Some(file), true) => {
                opcode::ReadFixed::new(file, address, bytes, index).offset(offset).build()
            }
            (Some(file), false) => opcode::Read::new(file, address, bytes).offset(offset).build(),
            (None, registered) => {
                let file = types::Fd(slot.file.descriptor(piece.is_cached()).as_raw_fd());
                if registered {
                    opcode::ReadFixed::new(file, address, bytes, index).offset(offset).build()
                } else {
                    opcode::Read::new(file, address, bytes).offset(offset).build()
                }
            }
        };
        entry.user_data(id.to_user_data())
    }

    /// Takes all completions out of the ring.
    fn reap(&mut self) {
        while let Some(entry) = self.next_entry() {
            self.in_kernel -= 1;
            self.take(PieceId::from_user_data(entry.user_data()), entry.result());
        }
    }

    fn next_entry(&mut self) -> Option<cqueue::Entry> {
        self.ring.completion().next()
    }

    /// Takes the kernel's answer for one piece.
    fn take(&mut self, id: PieceId, result: i32) {
        let slot = self.slots[id.slot as usize].as_mut().expect("open pieces have a slot");
        let piece = &mut slot.pieces[id.piece as usize];
        let answer = usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result));
        let offset = piece.file_offset();
        let error = match piece.advance(answer) {
            Next::Complete => None,
            Next::Again | Next::NotDirect if slot.error.is_some() => None,
            next @ (Next::Again | Next::NotDirect) => {
                if next == Next::NotDirect {
                    slot.file.stop_direct();
                }
                self.queued.push_front(id);
                return;
            }
            Next::Failed(errno) => Some(slot.file.failed(offset, errno)),
            Next::EndOfFile => Some(slot.file.shrunk(slot.offset, piece.file_offset())),
        };
        slot.pieces_open -= 1;
        match error {
            Some(error) => self.abandon(id.slot, error),
            None => self.finish_if_done(id.slot),
        }
    }

    /// Ends a request with an error: its queued pieces are dropped, those in the kernel awaited.
    fn abandon(&mut self, index: u32, error: ReadError) {
        let before = self.queued.len();
        self.queued.retain(|id| id.slot != index);
        if let Some(slot) = &mut self.slots[index as usize] {
            slot.pieces_open -= before - self.queued.len();
            slot.error.get_or_insert(error);
        }
        self.finish_if_done(index);
    }

    fn finish_if_done(&mut self, index: u32) {
        let place = &mut self.slots[index as usize];
        if let Some(slot) = place.take_if(|slot| slot.pieces_open == 0) {
            let Slot { ticket, wanted, buffer, error, .. } = slot;
            let result = error.map_or_else(|| Ok(Blob::new(buffer, wanted)), Err);
            self.ready.push_back(Completion { ticket, result });
        }
    }

    /// Hands pushed entries to the kernel and waits for one completion, at most `timeout`.
    fn enter(&mut self, timeout: Duration) -> io::Result<()> {
        if timeout.is_zero() {
            return self.ring.submit().map(drop);
        }
        // The kernel refuses times beyond its clock; callers loop until their own deadline.
        let timeout = types::Timespec::from(timeout.min(RING_WAIT_MAX));
        let args = types::SubmitArgs::new().timespec(&timeout);
        self.ring.submitter().submit_with_args(1, &args).map(drop)
    }

    /// [`Self::enter`]; a timeout, an interruption and a full kernel are no failures.
    fn try_enter(&mut self, timeout: Duration) -> Result<(), ReadError> {
        match self.enter(timeout).map_err(|error| (Errno::from_io_error(&error), error)) {
            Ok(()) | Err((Some(Errno::INTR | Errno::TIME), _)) => Ok(()),
            // Out of request memory or completion room for the moment.
            Err((Some(Errno::AGAIN | Errno::BUSY), _)) => {
                std::thread::sleep(timeout.min(Duration::from_millis(1)));
                Ok(())
            }
            Err((_, source)) => Err(ReadError::Engine { what: "io_uring_enter", source }),
        }
    }

    fn slots_used(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}

impl ReadEngine for RingEngine {
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
            let ticket = self.next_ticket();
            self.ready.push_back(Completion { ticket, result: Ok(Blob::empty()) });
            return Ok(Submission::Accepted(ticket));
        }
        let Some(index) = self.slots.iter().position(Option::is_none) else {
            return Ok(Submission::QueueFull);
        };
        let Some(buffer) = self.pool.take() else { return Ok(Submission::NoBuffer) };
        let ticket = self.next_ticket();
        let widened = Widened::new(offset, bytes);
        let pieces = widened.pieces(bytes, self.info.options.ring_piece_bytes);
        let slot = index as u32;
        self.queued.extend((0..pieces.len()).map(|piece| PieceId { slot, piece: piece as u32 }));
        self.slots[index] = Some(Slot {
            ticket,
            file: Arc::clone(file),
            offset,
            wanted: widened.head_bytes..widened.head_bytes + bytes,
            buffer,
            pieces_open: pieces.len(),
            pieces,
            error: None,
        });
        self.fill();
        // A failure shows again, and is reported, in `wait`.
        let _ = self.enter(Duration::ZERO);
        Ok(Submission::Accepted(ticket))
    }

    fn cancel(&mut self, ticket: Ticket) {
        let is_it = |slot: &Option<Slot>| slot.as_ref().is_some_and(|slot| slot.ticket == ticket);
        if let Some(index) = self.slots.iter().position(is_it)
            && let Some(slot) = &self.slots[index]
        {
            let error = slot.file.cancelled(slot.offset);
            self.abandon(index as u32, error);
        }
    }

    fn in_flight(&self) -> usize {
        self.slots_used() + self.ready.len()
    }

    fn wait(&mut self, timeout: Duration) -> Result<Option<Completion>, ReadError> {
        let deadline = Instant::now().checked_add(timeout);
        self.reap();
        loop {
            if let Some(completion) = self.ready.pop_front() {
                // Keep the disk busy while the caller works on this one.
                self.fill();
                let _ = self.enter(Duration::ZERO);
                return Ok(Some(completion));
            }
            if self.slots_used() == 0 {
                return Ok(None);
            }
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            self.fill();
            self.try_enter(left)?;
            self.reap();
            if left.is_zero() && self.ready.is_empty() {
                return Ok(None);
            }
        }
    }
}

impl Drop for RingEngine {
    fn drop(&mut self) {
        self.queued.clear();
        let deadline = Instant::now() + RING_DRAIN_TIMEOUT;
        while self.in_kernel > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.try_enter(left).is_err() {
                // The kernel may still write into these buffers: never free or reuse them.
                mem::forget(mem::take(&mut self.slots));
                return;
            }
            // The slots are dropped afterwards, so the answers do not matter.
            while self.next_entry().is_some() {
                self.in_kernel -= 1;
            }
        }
    }
}
