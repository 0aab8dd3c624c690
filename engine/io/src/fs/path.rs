//! Which paths the store may use.

use super::error::{FsError, FsErrorKind, Result};
use crate::limits::{NAME_BYTES_MAX, PATH_NAMES_MAX};

/// Whether a single name is one of ours.
pub(super) fn is_name(name: &str) -> bool {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(allowed)
}

/// Checks the path of a directory; the root, `""`, is one.
pub(super) fn check_directory(operation: &'static str, path: &str) -> Result<()> {
    if path.is_empty() || is_path(path) {
        return Ok(());
    }
    Err(FsError::new(operation, path, FsErrorKind::BadPath))
}

/// Splits a path into its directory (`""` for the root) and its last name.
pub(super) fn split<'p>(operation: &'static str, path: &'p str) -> Result<(&'p str, &'p str)> {
    if !is_path(path) {
        return Err(FsError::new(operation, path, FsErrorKind::BadPath));
    }
    Ok(path.rsplit_once('/').unwrap_or(("", path)))
}

/// Splits the two paths of a rename: their common directory and both names.
pub(super) fn split_rename<'p>(from: &'p str, to: &'p str) -> Result<(&'p str, &'p str, &'p str)> {
    let (directory, from_name) = split("rename", from)?;
    let (other, to_name) = split("rename", to)?;
    if directory != other {
        return Err(FsError::new("rename", to, FsErrorKind::BadPath));
    }
    Ok((directory, from_name, to_name))
}

fn is_path(path: &str) -> bool {
    let mut names = path.split('/');
    names.clone().count() <= PATH_NAMES_MAX && names.all(is_name)
}
