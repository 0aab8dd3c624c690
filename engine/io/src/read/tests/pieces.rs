use rustix::io::Errno;

use super::super::piece::{Next, Piece, Widened};
use super::*;
use crate::limits::{BLOCK_BYTES, RETRIES_MAX};

#[test]
fn a_range_is_widened_to_whole_blocks() {
    let widened = |offset, bytes| {
        let w = Widened::new(offset, bytes);
        (w.file_offset, w.bytes, w.head_bytes)
    };
    assert_eq!(widened(0, 1), (0, 4096, 0));
    assert_eq!(widened(4096, 4096), (4096, 4096, 0));
    assert_eq!(widened(4095, 2), (0, 8192, 4095));
    assert_eq!(widened(4097, 4095), (4096, 4096, 1));
    assert_eq!(widened(u64::MAX - 1, 1), (u64::MAX - 4095, 4096, 4094));
}

#[test]
fn every_widened_range_fits_its_buffer() {
    for bytes in (1..3 * BLOCK_BYTES).step_by(97) {
        for head in 0..BLOCK_BYTES as u64 {
            assert!(Widened::new(head, bytes).bytes <= Widened::buffer_bytes(bytes));
        }
    }
}

#[test]
fn pieces_cover_the_range_once() {
    let mut random = Random(7);
    for _ in 0..2000 {
        let (offset, bytes) = (random.next() >> 20, 1 + random.below(100_000));
        let piece_bytes = 1 + random.below(40_000);
        let widened = Widened::new(offset, bytes);
        let mut at = 0;
        for piece in widened.pieces(bytes, piece_bytes) {
            assert_eq!(piece.rest().start, at);
            assert_eq!(piece.file_offset(), widened.file_offset + at as u64);
            assert!(piece.rest().len().is_multiple_of(BLOCK_BYTES));
            assert!(!piece.is_complete(), "every piece has something to read");
            at = piece.rest().end;
        }
        assert_eq!(at, widened.bytes);
    }
}

#[test]
fn short_reads_go_on_where_they_stopped() {
    let mut piece = Piece::direct(8192, 0..12_288, 12_000);
    assert_eq!(piece.advance(Ok(4096)), Next::Again);
    assert_eq!((piece.file_offset(), piece.rest()), (12_288, 4096..12_288));
    assert!(!piece.is_cached(), "still on a block");
    assert_eq!(piece.advance(Ok(100)), Next::Again);
    assert_eq!((piece.file_offset(), piece.rest()), (12_388, 4196..12_288));
    assert!(piece.is_cached(), "in the middle of a block");
    assert_eq!(piece.advance(Ok(7803)), Next::Again);
    assert_eq!(piece.advance(Ok(1)), Next::Complete);
}

#[test]
fn the_end_of_the_file_is_fine_after_the_needed_bytes_only() {
    assert_eq!(Piece::direct(0, 0..4096, 100).advance(Ok(100)), Next::Complete);
    let mut piece = Piece::direct(0, 0..4096, 100);
    assert_eq!(piece.advance(Ok(99)), Next::Again);
    assert_eq!(piece.advance(Ok(0)), Next::EndOfFile);
}

#[test]
fn interruptions_are_repeated_but_not_for_ever() {
    for errno in [Errno::INTR, Errno::AGAIN] {
        let mut piece = Piece::direct(0, 0..4096, 4096);
        for _ in 0..RETRIES_MAX {
            assert_eq!(piece.advance(Err(errno)), Next::Again);
        }
        assert_eq!(piece.advance(Err(errno)), Next::Failed(errno));
    }
}

#[test]
fn a_refused_direct_read_is_repeated_through_the_cache() {
    let mut piece = Piece::direct(0, 0..4096, 4096);
    assert_eq!(piece.advance(Err(Errno::INVAL)), Next::NotDirect);
    assert!(piece.is_cached());
    assert_eq!(piece.advance(Err(Errno::INVAL)), Next::Failed(Errno::INVAL));
    assert_eq!(Piece::direct(0, 0..4096, 4096).advance(Err(Errno::IO)), Next::Failed(Errno::IO));
}
