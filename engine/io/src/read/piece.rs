//! The progress of one read: short reads, interrupted reads, widening to whole blocks. Pure
//! arithmetic, shared by both engines.

use std::ops::Range;

use rustix::io::Errno;

use crate::limits::{BLOCK_BYTES, RETRIES_MAX};

/// A range of a file widened to whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Widened {
    /// Start of the first block.
    pub file_offset: u64,
    /// Whole blocks.
    pub bytes: usize,
    /// Where the wanted bytes start in the widened range.
    pub head_bytes: usize,
}

impl Widened {
    /// Widens `bytes` bytes at `offset`, a range that was checked to lie in a file.
    pub fn new(offset: u64, bytes: usize) -> Self {
        let block = BLOCK_BYTES as u64;
        let head_bytes = (offset % block) as usize;
        Self {
            file_offset: offset - head_bytes as u64,
            bytes: (head_bytes + bytes).next_multiple_of(BLOCK_BYTES),
            head_bytes,
        }
    }

    /// The pieces, each of whole blocks and (but the last) `piece_bytes` long, that together read
    /// the `bytes` wanted bytes. `piece_bytes` is rounded up to whole blocks.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only the ring cuts"))]
    pub fn pieces(&self, bytes: usize, piece_bytes: usize) -> Vec<Piece> {
        let piece_bytes = piece_bytes.next_multiple_of(BLOCK_BYTES);
        let end_needed = self.head_bytes + bytes;
        let starts = (0..self.bytes).step_by(piece_bytes);
        let piece = |start: usize| {
            let end = self.bytes.min(start + piece_bytes);
            let file_start = self.file_offset + start as u64;
            Piece::direct(file_start, start..end, end.min(end_needed) - start)
        };
        starts.map(piece).collect()
    }

    /// Buffer size that fits every range of `bytes` bytes.
    pub fn buffer_bytes(bytes: usize) -> usize {
        bytes.next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES
    }
}

/// A part of a buffer to be filled from a file.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    file_start: u64,
    buffer: Range<usize>,
    /// Bytes without which the piece is not complete; what follows is only alignment and may lie
    /// past the end of the file.
    bytes_needed: usize,
    bytes_done: usize,
    retries: u32,
    cached: bool,
}

/// What to do after a system call answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// All needed bytes are there.
    Complete,
    /// Read on: [`Piece::rest`] at [`Piece::file_offset`].
    Again,
    /// Read on as above, through the page cache: the file system took the direct flag when the
    /// file was opened, but refuses the reads.
    NotDirect,
    /// The file ended before the needed bytes.
    EndOfFile,
    /// The error is final.
    Failed(Errno),
}

impl Piece {
    /// A piece that starts and ends on blocks, to be read past the page cache if possible.
    pub fn direct(file_start: u64, buffer: Range<usize>, bytes_needed: usize) -> Self {
        debug_assert!(bytes_needed <= buffer.len());
        Self { file_start, buffer, bytes_needed, bytes_done: 0, retries: 0, cached: false }
    }

    /// A piece at any place, to be read through the page cache.
    pub fn cached(file_start: u64, bytes: usize) -> Self {
        Self { cached: true, ..Self::direct(file_start, 0..bytes, bytes) }
    }

    /// Where the next read starts in the file.
    pub fn file_offset(&self) -> u64 {
        self.file_start + self.bytes_done as u64
    }

    /// The part of the buffer still to be filled.
    pub fn rest(&self) -> Range<usize> {
        self.buffer.start + self.bytes_done..self.buffer.end
    }

    /// Whether the next read must go through the page cache.
    pub fn is_cached(&self) -> bool {
        self.cached
    }

    pub fn is_complete(&self) -> bool {
        self.bytes_done >= self.bytes_needed
    }

    /// Makes all further reads go through the page cache.
    pub fn read_cached(&mut self) {
        self.cached = true;
    }

    /// Takes the answer of one read of [`Piece::rest`].
    pub fn advance(&mut self, answer: Result<usize, Errno>) -> Next {
        match answer {
            Ok(bytes) => self.advance_by(bytes),
            Err(Errno::INTR | Errno::AGAIN) if self.retries < RETRIES_MAX => {
                self.retries += 1;
                Next::Again
            }
            Err(Errno::INVAL | Errno::OPNOTSUPP) if !self.cached => {
                self.cached = true;
                Next::NotDirect
            }
            Err(errno) => Next::Failed(errno),
        }
    }

    fn advance_by(&mut self, bytes: usize) -> Next {
        self.bytes_done += bytes.min(self.rest().len());
        if self.is_complete() {
            return Next::Complete;
        }
        if bytes == 0 {
            return Next::EndOfFile;
        }
        // A direct read cannot go on in the middle of a block.
        if !self.bytes_done.is_multiple_of(BLOCK_BYTES) {
            self.cached = true;
        }
        self.retries = 0;
        Next::Again
    }
}
