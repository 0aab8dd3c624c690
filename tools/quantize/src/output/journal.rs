//! The unfinished file and the list of its finished tensors.
//!
//! First line: `ds4-quantize 1 ` and the hash of everything that decides the output. Then a line
//! for each tensor whose bytes were on disk before the line was written. A last line that a crash
//! cut off names no tensor, or is a tensor of which nothing is known: it is done again.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{sync_folder, with_suffix};
use crate::QuantizeError;

pub(super) struct Journal {
    part: PathBuf,
    file: File,
    list_path: PathBuf,
    list: File,
    done: BTreeSet<String>,
    is_new: bool,
    pending: Vec<String>,
    noted: Instant,
    note_every: Duration,
}

impl Journal {
    /// Goes on with an unfinished file of the same identity, or begins a new one.
    pub fn open(
        part: &Path,
        identity: &blake3::Hash,
        file_bytes: u64,
        note_every: Duration,
    ) -> Result<Self, QuantizeError> {
        let list_path = with_suffix(part, ".done");
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.open(path).map_err(QuantizeError::file("write", path))
        };
        let file = open(part)?;
        match file.try_lock() {
            // Some file systems know no locks; then nobody is kept out.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => return Err(QuantizeError::Busy(part.to_path_buf())),
        }
        let first = format!("ds4-quantize 1 {identity}\n");
        let text = std::fs::read(&list_path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let length = file.metadata().map_err(QuantizeError::file("read", part))?.len();
        let known = text.strip_prefix(&first).filter(|_| length == file_bytes);
        let (done, is_new): (BTreeSet<String>, bool) = match known {
            Some(lines) => {
                let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
                (whole.lines().map(str::to_owned).collect(), false)
            }
            None => (BTreeSet::new(), true),
        };
        let list = if is_new {
            std::fs::remove_file(&list_path).ok();
            file.set_len(0).map_err(QuantizeError::file("write", part))?;
            file.set_len(file_bytes).map_err(QuantizeError::file("make room in", part))?;
            File::create(&list_path)
        } else {
            // The cut-off line goes, so that the next one is not appended to it.
            let mut list = File::create(&list_path);
            if let Ok(list) = &mut list {
                let lines: String = done.iter().map(|name| format!("{name}\n")).collect();
                list.write_all(format!("{first}{lines}").as_bytes())
                    .map_err(QuantizeError::file("write", &list_path))?;
            }
            list
        };
        let list = list.map_err(QuantizeError::file("write", &list_path))?;
        Ok(Self {
            part: part.to_path_buf(),
            file,
            list_path,
            list,
            done,
            is_new,
            pending: if is_new { vec![first.trim_end().to_owned()] } else { Vec::new() },
            noted: Instant::now(),
            note_every,
        })
    }

    /// Whether nothing was there to go on with.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Whether a tensor was finished by an earlier run.
    pub fn is_done(&self, name: &str) -> bool {
        self.done.contains(name)
    }

    /// A tensor is finished; it is noted when it is time.
    pub fn finished(&mut self, name: &str) -> Result<(), QuantizeError> {
        self.pending.push(name.to_owned());
        if self.noted.elapsed() >= self.note_every { self.note() } else { Ok(()) }
    }

    /// Notes what is finished: first the data, then the list.
    pub fn note(&mut self) -> Result<(), QuantizeError> {
        if !self.pending.is_empty() {
            self.file.sync_data().map_err(QuantizeError::file("write", &self.part))?;
            let lines: String = self.pending.drain(..).map(|name| name + "\n").collect();
            self.list
                .write_all(lines.as_bytes())
                .and_then(|()| self.list.sync_data())
                .map_err(QuantizeError::file("write", &self.list_path))?;
        }
        self.noted = Instant::now();
        Ok(())
    }

    /// Gives the finished file its name.
    pub fn finish(self, out: &Path) -> Result<(), QuantizeError> {
        self.file.sync_all().map_err(QuantizeError::file("write", &self.part))?;
        std::fs::rename(&self.part, out).map_err(QuantizeError::file("rename to", out))?;
        sync_folder(out).map_err(QuantizeError::file("write the folder of", out))?;
        std::fs::remove_file(&self.list_path)
            .map_err(QuantizeError::file("remove", &self.list_path))
    }
}
