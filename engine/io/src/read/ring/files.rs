//! The ring's table of registered files: the kernel then need not look the descriptor up and
//! count a reference for each read.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Weak};

use io_uring::{IoUring, types};

use super::super::file::ReadFile;
use crate::limits::RING_FILES_MAX;

/// Which descriptor stands in which place. Files beyond the table are read unregistered.
pub(super) struct FileTable {
    /// Empty if the kernel has no sparse tables (before Linux 5.19).
    places: Vec<Option<Place>>,
}

struct Place {
    file: Weak<ReadFile>,
    file_id: u64,
    cached: bool,
}

impl FileTable {
    pub fn register(ring: &IoUring) -> Self {
        let registered = ring.submitter().register_files_sparse(RING_FILES_MAX as u32).is_ok();
        let places = if registered { RING_FILES_MAX } else { 0 };
        Self { places: (0..places).map(|_| None).collect() }
    }

    pub fn is_registered(&self) -> bool {
        !self.places.is_empty()
    }

    /// The place of one of a file's two descriptors; entered if there is room. A place whose file
    /// was dropped is used again: no request can refer to it, because requests own their file.
    pub fn lookup(
        &mut self,
        ring: &IoUring,
        file: &Arc<ReadFile>,
        cached: bool,
    ) -> Option<types::Fixed> {
        let is_it = |place: &Option<Place>| {
            place.as_ref().is_some_and(|p| (p.file_id, p.cached) == (file.id(), cached))
        };
        if let Some(index) = self.places.iter().position(is_it) {
            return Some(types::Fixed(index as u32));
        }
        let is_free = |place: &Option<Place>| {
            place.as_ref().is_none_or(|place| place.file.strong_count() == 0)
        };
        let index = self.places.iter().position(is_free)?;
        let descriptor = file.descriptor(cached).as_raw_fd();
        ring.submitter().register_files_update(index as u32, &[descriptor]).ok()?;
        self.places[index] = Some(Place { file: Arc::downgrade(file), file_id: file.id(), cached });
        Some(types::Fixed(index as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::file::Caching;
    use super::*;

    #[test]
    fn places_of_dropped_files_are_used_again() {
        let Ok(ring) = IoUring::new(2) else { return println!("not tested: no io_uring") };
        let mut table = FileTable::register(&ring);
        if !table.is_registered() {
            return println!("not tested: no sparse tables");
        }
        let open = || ReadFile::open("/proc/self/exe", Caching::Cached).unwrap();
        let mut files: Vec<_> = (0..RING_FILES_MAX).map(|_| open()).collect();
        for _ in 0..2 {
            for (index, file) in files.iter().enumerate() {
                let place = table.lookup(&ring, file, true).unwrap();
                assert_eq!(place.0 as usize, index);
            }
        }
        let last = open();
        assert!(table.lookup(&ring, &last, true).is_none(), "full");
        files.remove(7);
        assert_eq!(table.lookup(&ring, &last, true).unwrap().0, 7);
    }
}
