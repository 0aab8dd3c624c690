mod conformance;
mod crash;
mod faults;
mod real;

use super::*;
use crate::random::Random;

/// A file's bytes, or the kind of error that reading it gives.
fn contents(fs: &dyn Fs, path: &str) -> std::result::Result<Vec<u8>, FsErrorKind> {
    let read = || {
        let file = fs.open(path)?;
        let mut bytes = vec![0; file.bytes()? as usize];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error: FsError| error.kind)
}

fn write(fs: &dyn Fs, path: &str, bytes: &[u8]) -> Result<Box<dyn FsFile>> {
    let mut file = fs.create(path)?;
    file.append(bytes)?;
    Ok(file)
}

fn kind<T>(result: Result<T>) -> FsErrorKind {
    match result {
        Ok(_) => panic!("succeeded"),
        Err(error) => error.kind,
    }
}
