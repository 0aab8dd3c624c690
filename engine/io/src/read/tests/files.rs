use std::os::unix::net::UnixListener;
use std::process::Command;

use super::*;

fn refused_kind(path: &std::path::Path) -> &'static str {
    match ReadFile::open(path, Caching::Direct) {
        Err(ReadError::NotRegular { kind, .. }) => kind,
        other => panic!("{}: {other:?}", path.display()),
    }
}

#[test]
fn only_regular_files_are_opened_and_nothing_blocks() {
    let dir = TempDir::new().unwrap();
    assert_eq!(refused_kind(dir.path()), "directory");
    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert_eq!(refused_kind(&socket), "socket");
    // Without a writer, a plain open of a pipe would wait for ever.
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(refused_kind(&pipe), "named pipe");
    assert_eq!(refused_kind("/dev/zero".as_ref()), "character device");
}

#[test]
fn a_missing_file_is_named_in_the_error() {
    let error = ReadFile::open("/no/such/model.gguf", Caching::Cached).unwrap_err();
    assert!(error.to_string().starts_with("cannot open /no/such/model.gguf: No such file"));
}

#[test]
fn a_link_to_a_model_is_followed() {
    let sample = sample(5000);
    let link = sample.path.with_extension("link");
    std::os::unix::fs::symlink(&sample.path, &link).unwrap();
    let file = ReadFile::open(&link, Caching::Direct).unwrap();
    assert_eq!(file.bytes(), 5000);
    let mut bytes = [0; 5000];
    file.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(bytes[..], sample.bytes[..]);
}

#[test]
fn small_reads_are_exact_and_bounded() {
    let sample = sample(10_000);
    let file = sample.open();
    let mut target = [0; 77];
    file.read_exact_at(9923, &mut target).unwrap();
    assert_eq!(target[..], sample.bytes[9923..]);
    file.read_exact_at(10_000, &mut []).unwrap();
    let error = file.read_exact_at(9924, &mut target).unwrap_err();
    assert!(matches!(error, ReadError::PastEnd { offset: 9924, file_bytes: 10_000, .. }));
    let error = file.read_exact_at(u64::MAX, &mut target).unwrap_err();
    assert!(matches!(error, ReadError::PastEnd { .. }), "{error}");
    fs::File::options().write(true).open(&sample.path).unwrap().set_len(9950).unwrap();
    let error = file.read_exact_at(9923, &mut target).unwrap_err();
    assert!(matches!(error, ReadError::Shrunk { offset: 9923, end: 9950, .. }), "{error}");
}
