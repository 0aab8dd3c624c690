//! The simulated disk must be what the real one is, as long as nothing goes wrong: a table of
//! expectations for both, and random operations compared.

use tempfile::TempDir;

use super::*;

/// Runs a check on both.
fn on_both(check: impl Fn(&dyn Fs)) {
    let dir = TempDir::new().unwrap();
    check(&RealFs::open(dir.path().join("store")).unwrap());
    check(&FaultFs::new(1));
}

#[test]
fn files_grow_and_are_read_anywhere() {
    on_both(|fs| {
        let mut file = write(fs, "a", b"hello ").unwrap();
        file.append(b"world").unwrap();
        file.sync().unwrap();
        assert_eq!(file.bytes().unwrap(), 11);
        assert_eq!(contents(fs, "a").unwrap(), b"hello world");
        let mut target = [0; 5];
        assert_eq!(file.read_at(9, &mut target).unwrap(), 2);
        assert_eq!(&target[..2], b"ld");
        assert_eq!(file.read_at(11, &mut target).unwrap(), 0);
        assert_eq!(file.read_at(u64::MAX, &mut target).unwrap(), 0);
        file.read_exact_at(6, &mut target).unwrap();
        assert_eq!(&target, b"world");
        assert_eq!(kind(file.read_exact_at(7, &mut target)), FsErrorKind::EndOfFile);
        let mut again = fs.open_append("a").unwrap();
        again.append(b"!").unwrap();
        assert_eq!(file.bytes().unwrap(), 12);
        assert_eq!(kind(fs.open("a").unwrap().append(b"x")), FsErrorKind::ReadOnly);
        assert_eq!(kind(fs.open("a").unwrap().sync()), FsErrorKind::ReadOnly);
    });
}

#[test]
fn names_are_changed_and_handles_follow_the_file() {
    on_both(|fs| {
        let mut a = write(fs, "a", b"a").unwrap();
        let b = write(fs, "b", b"b").unwrap();
        assert_eq!(kind(fs.create("a")), FsErrorKind::Exists);
        fs.rename("a", "b").unwrap();
        a.append(b"+").unwrap();
        assert_eq!(contents(fs, "b").unwrap(), b"a+");
        assert_eq!(contents(fs, "a").unwrap_err(), FsErrorKind::NotFound);
        let mut old = [0];
        b.read_exact_at(0, &mut old).unwrap();
        assert_eq!(&old, b"b", "the replaced file lives in its handle");
        fs.rename("b", "b").unwrap();
        fs.remove("b").unwrap();
        a.append(b"+").unwrap();
        assert_eq!(a.bytes().unwrap(), 3);
        assert_eq!(kind(fs.remove("b")), FsErrorKind::NotFound);
        assert_eq!(kind(fs.rename("b", "c")), FsErrorKind::NotFound);
        assert_eq!(kind(fs.open_append("b")), FsErrorKind::NotFound);
        assert_eq!(kind(fs.metadata("b")), FsErrorKind::NotFound);
    });
}

#[test]
fn directories_hold_files_and_are_no_files() {
    on_both(|fs| {
        fs.create_dir("d").unwrap();
        fs.create_dir("d/e").unwrap();
        write(fs, "d/f", b"123").unwrap();
        let names = |directory| {
            let entries = fs.list(directory).unwrap();
            entries.into_iter().map(|e| (e.name, e.kind, e.bytes)).collect::<Vec<_>>()
        };
        assert_eq!(names(""), [("d".to_owned(), EntryKind::Directory, 0)]);
        assert_eq!(
            names("d"),
            [("e".to_owned(), EntryKind::Directory, 0), ("f".to_owned(), EntryKind::File, 3)]
        );
        assert_eq!(names("d/e"), []);
        let metadata = |path| fs.metadata(path).unwrap();
        assert_eq!(metadata("d/f"), Metadata { kind: EntryKind::File, bytes: 3 });
        assert_eq!(metadata("d"), Metadata { kind: EntryKind::Directory, bytes: 0 });
        assert_eq!(kind(fs.create_dir("d")), FsErrorKind::Exists);
        assert_eq!(kind(fs.create_dir("x/y")), FsErrorKind::NotFound);
        assert_eq!(kind(fs.create("x/y")), FsErrorKind::NotFound);
        for wrong in [
            kind(fs.open("d")),
            kind(fs.open_append("d")),
            kind(fs.remove("d")),
            kind(fs.rename("d", "g")),
            kind(fs.rename("d/f", "d/e")),
            kind(fs.list("d/f")),
            kind(fs.sync_dir("d/f")),
            kind(fs.open("d/f/g")),
        ] {
            assert_eq!(wrong, FsErrorKind::WrongKind);
        }
        fs.sync_dir("").unwrap();
        fs.sync_dir("d/e").unwrap();
        assert_eq!(kind(fs.sync_dir("x")), FsErrorKind::NotFound);
    });
}

#[test]
fn only_our_own_paths_are_accepted() {
    let long = "a".repeat(161);
    on_both(|fs| {
        for path in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            ".hidden",
            "A",
            "a b",
            "a\0",
            "ä",
            "a/b/c/d/e",
            &long,
        ] {
            let kinds = [
                kind(fs.create(path)),
                kind(fs.open(path)),
                kind(fs.open_append(path)),
                kind(fs.metadata(path)),
                kind(fs.remove(path)),
                kind(fs.create_dir(path)),
                kind(fs.rename(path, "b")),
                kind(fs.rename("b", path)),
            ];
            assert!(kinds.iter().all(|&kind| kind == FsErrorKind::BadPath), "{path:?}");
            if !path.is_empty() {
                assert_eq!(kind(fs.list(path)), FsErrorKind::BadPath, "{path:?}");
                assert_eq!(kind(fs.sync_dir(path)), FsErrorKind::BadPath, "{path:?}");
            }
        }
        write(fs, &long[1..], b"").unwrap();
        fs.create_dir("d").unwrap();
        assert_eq!(kind(fs.rename(&long[1..], "d/a")), FsErrorKind::BadPath);
    });
}

const PATHS: [&str; 9] = ["a", "b", "c.tmp", "d", "d/a", "d/b", "d/e", "d/e/a", "Bad"];

/// Does one random operation; says what came of it.
fn random_operation(
    fs: &dyn Fs,
    handles: &mut Vec<Box<dyn FsFile>>,
    random: &mut Random,
) -> String {
    let path = PATHS[random.below(PATHS.len())];
    let other = PATHS[random.below(PATHS.len())];
    let handle = random.below(handles.len());
    let (offset, bytes) = (random.below(9000) as u64, random.below(6000));
    let mut keep = |file: Result<Box<dyn FsFile>>| {
        let told = file.as_ref().map(|_| ()).map_err(|error| error.kind);
        handles.extend(file.ok());
        format!("{told:?}")
    };
    let tell = |result: Result<String>| format!("{:?}", result.map_err(|error| error.kind));
    match random.below(13) {
        0 => keep(fs.create(path)),
        1 => keep(fs.open(path)),
        2 => keep(fs.open_append(path)),
        3 => tell(fs.metadata(path).map(|metadata| format!("{metadata:?}"))),
        4 => tell(fs.rename(path, other).map(|()| String::new())),
        5 => tell(fs.remove(path).map(|()| String::new())),
        6 => tell(fs.create_dir(path).map(|()| String::new())),
        7 => tell(fs.list(path).map(|entries| format!("{entries:?}"))),
        8 => tell(fs.sync_dir(path).map(|()| String::new())),
        9 => tell(fs.list("").map(|entries| format!("{entries:?}"))),
        _ if handles.is_empty() => String::new(),
        10 => {
            let bytes = random.bytes(bytes);
            tell(handles[handle].append(&bytes).map(|()| String::new()))
        }
        11 => tell(handles[handle].sync().map(|()| String::new())),
        _ => {
            let mut target = vec![0; bytes];
            let read = handles[handle].read_at(offset, &mut target);
            let length = handles[handle].bytes().unwrap();
            tell(read.map(|bytes| format!("{length} {:?}", &target[..bytes])))
        }
    }
}

#[test]
fn random_operations_have_the_same_results() {
    for seed in 0..60 {
        let dir = TempDir::new().unwrap();
        let real = RealFs::open(dir.path().join("store")).unwrap();
        let fault = FaultFs::new(seed);
        let (mut real_random, mut fault_random) = (Random(seed), Random(seed));
        let (mut real_handles, mut fault_handles) = (Vec::new(), Vec::new());
        for step in 0..300 {
            let expected = random_operation(&real, &mut real_handles, &mut real_random);
            let found = random_operation(&fault, &mut fault_handles, &mut fault_random);
            assert_eq!(found, expected, "seed {seed}, step {step}");
        }
    }
}
