use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::*;

fn mode(path: &std::path::Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn everything_is_private() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("store");
    let real = RealFs::open(&root).unwrap();
    real.create_dir("d").unwrap();
    write(&real, "d/a", b"").unwrap();
    assert_eq!(
        (mode(&root), mode(&root.join("d")), mode(&root.join("d/a"))),
        (0o700, 0o700, 0o600)
    );
    for exposed in [0o750, 0o701, 0o777] {
        fs::set_permissions(&root, fs::Permissions::from_mode(exposed)).unwrap();
        let error = RealFs::open(&root).unwrap_err();
        assert_eq!(error.kind, FsErrorKind::Exposed);
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
    assert_eq!(kind(RealFs::open(dir.path().join("no/such"))), FsErrorKind::NotFound);
    fs::write(dir.path().join("file"), b"").unwrap();
    assert_eq!(kind(RealFs::open(dir.path().join("file"))), FsErrorKind::WrongKind);
}

#[test]
fn links_and_devices_are_not_followed_and_not_listed() {
    let dir = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    let root = dir.path().join("store");
    let real = RealFs::open(&root).unwrap();
    symlink(outside.path().join("secret"), root.join("link")).unwrap();
    symlink(outside.path().join("nothing"), root.join("dangling")).unwrap();
    symlink(outside.path(), root.join("dir")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    let pipe = root.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in ["link", "dangling", "dir", "socket", "pipe", "dir/secret"] {
        let kinds = [
            kind(real.open(path)),
            kind(real.open_append(path)),
            kind(real.metadata(path)),
            kind(real.remove(path)),
            kind(real.rename(path, &format!("{path}.new"))),
        ];
        assert!(kinds.iter().all(|&kind| kind == FsErrorKind::WrongKind), "{path}: {kinds:?}");
    }
    assert_eq!(kind(real.list("dir")), FsErrorKind::WrongKind);
    assert_eq!(kind(real.create("dangling")), FsErrorKind::Exists);
    assert_eq!(kind(real.create("dir/new")), FsErrorKind::WrongKind);
    fs::write(root.join(".DS_Store"), b"").unwrap();
    fs::write(root.join("Upper"), b"").unwrap();
    write(&real, "ours", b"").unwrap();
    let names: Vec<_> = real.list("").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["ours"]);
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
}

#[test]
fn errors_name_operation_and_path() {
    let dir = TempDir::new().unwrap();
    let real = RealFs::open(dir.path().join("store")).unwrap();
    let error = real.remove("a/b").unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("remove a: no such file or directory (No such file"), "{text}");
    let error = real.open("a").map(drop).unwrap_err();
    assert!(error.to_string().starts_with("open a: no such file or directory"), "{error}");
}

/// Linux keeps a device that is always full.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_recognised_and_the_file_abandoned() {
    use crate::fs::real::RealFile;
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut file = RealFile::boxed(full, "a", true);
    let error = file.append(b"x").unwrap_err();
    assert!(error.to_string().starts_with("append a: no space left on the disk"), "{error}");
    assert_eq!(kind(file.append(b"x")), FsErrorKind::Abandoned);
    assert_eq!(kind(file.sync()), FsErrorKind::Abandoned);
}
