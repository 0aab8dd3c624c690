//! Every shape of loss occurs, nothing that was synced is lost, and the write protocol survives
//! exactly as long as no step is left out.

use std::collections::BTreeSet;

use super::*;

const PAGE_BYTES: usize = 4096;

/// No zero bytes, so that a lost page can be told from a kept one.
fn sample(seed: u64, bytes: usize) -> Vec<u8> {
    Random(seed).bytes(bytes).into_iter().map(|byte| byte | 1).collect()
}

/// Names what became of a file of which `synced` bytes were synced.
fn content_shape(found: &[u8], written: &[u8], synced: usize) -> &'static str {
    assert!(found.len() >= synced && found[..synced] == written[..synced], "synced bytes are lost");
    let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
    let kept = found.iter().zip(written).take_while(|(found, written)| found == written).count();
    let last_page = (written.len() - 1) / PAGE_BYTES * PAGE_BYTES;
    if found == written {
        "all"
    } else if found.len() == synced {
        "nothing"
    } else if is_zero(&found[synced..]) {
        "zeros"
    } else if kept >= last_page && found.len() < written.len() {
        "torn, cut off"
    } else if kept > last_page && is_zero(&found[kept..]) {
        "torn, zeros"
    } else {
        let mut page = synced;
        while page < written.len() {
            let end = written.len().min((page / PAGE_BYTES + 1) * PAGE_BYTES);
            assert!(found[page..end] == written[page..end] || is_zero(&found[page..end]));
            page = end;
        }
        assert_eq!(found.len(), written.len());
        "some pages"
    }
}

#[test]
fn every_content_shape_occurs_and_synced_bytes_never_go() {
    for synced in [0, 1, PAGE_BYTES, 2 * PAGE_BYTES + 77] {
        let written = sample(synced as u64, 6 * PAGE_BYTES + 1000);
        let fs = FaultFs::new(0);
        let mut file = write(&fs, "a", &written[..synced]).unwrap();
        file.sync().unwrap();
        fs.sync_dir("").unwrap();
        file.append(&written[synced..]).unwrap();
        let shape =
            |seed| content_shape(&contents(&fs.crash(seed), "a").unwrap(), &written, synced);
        let shapes: BTreeSet<_> = (0..500).map(shape).collect();
        let all = ["all", "nothing", "some pages", "torn, cut off", "torn, zeros", "zeros"];
        assert_eq!(shapes, BTreeSet::from(all), "synced {synced}");
        assert_eq!(contents(&fs, "a").unwrap(), written, "a crash does not change the disk before");
        file.sync().unwrap();
        assert!((0..200).all(|seed| contents(&fs.crash(seed), "a").unwrap() == written));
    }
}

fn names(fs: &FaultFs) -> String {
    let names: Vec<_> = fs.list("").unwrap().into_iter().map(|entry| entry.name).collect();
    names.join(" ")
}

#[test]
fn every_subset_of_name_changes_occurs() {
    let fs = FaultFs::new(0);
    for name in ["a", "b", "old"] {
        write(&fs, name, name.as_bytes()).unwrap().sync().unwrap();
    }
    fs.sync_dir("").unwrap();
    fs.rename("a", "a2").unwrap();
    fs.rename("b", "b2").unwrap();
    fs.remove("old").unwrap();
    fs.create("new").unwrap();
    let found: BTreeSet<_> = (0..1000).map(|seed| names(&fs.crash(seed))).collect();
    let mut expected = BTreeSet::new();
    for subset in 0..16 {
        let name = |bit: u32, without: &'static str, with: &'static str| {
            if subset >> bit & 1 == 1 { with } else { without }
        };
        let names =
            [name(0, "a", "a2"), name(1, "b", "b2"), name(2, "", "new"), name(3, "old", "")];
        let names: BTreeSet<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
        expected.insert(names.into_iter().collect::<Vec<_>>().join(" "));
    }
    assert_eq!(found, expected);
    fs.sync_dir("").unwrap();
    assert!((0..200).all(|seed| names(&fs.crash(seed)) == "a2 b2 new"));
}

#[test]
fn a_lost_removal_keeps_the_old_file_beside_the_renamed_one() {
    let fs = FaultFs::new(0);
    write(&fs, "a", b"old").unwrap().sync().unwrap();
    fs.sync_dir("").unwrap();
    fs.remove("a").unwrap();
    write(&fs, "a", b"new").unwrap().sync().unwrap();
    fs.rename("a", "b").unwrap();
    let found = |seed| {
        let after = fs.crash(seed);
        let text = |path| contents(&after, path).map(|bytes| String::from_utf8(bytes).unwrap());
        format!("{:?}", [text("a").ok(), text("b").ok()])
    };
    let found: BTreeSet<_> = (0..500).map(found).collect();
    assert!(found.contains(r#"[Some("old"), Some("new")]"#), "{found:?}");
    assert!(found.contains(r#"[None, Some("new")]"#), "{found:?}");
    assert!(found.contains(r#"[Some("new"), None]"#), "{found:?}");
    assert!(found.contains(r#"[Some("old"), None]"#), "{found:?}");
}

#[test]
fn a_new_directory_needs_its_parent_synced() {
    let fs = FaultFs::new(0);
    fs.create_dir("d").unwrap();
    write(&fs, "d/a", b"1").unwrap().sync().unwrap();
    fs.sync_dir("d").unwrap();
    let lost = |fs: &FaultFs| (0..200).filter(|&s| contents(&fs.crash(s), "d/a").is_err()).count();
    assert!((1..200).contains(&lost(&fs)));
    fs.sync_dir("").unwrap();
    assert_eq!(lost(&fs), 0);
}

#[test]
fn a_crash_replays_from_its_seed() {
    let run = |seed| {
        let fs = FaultFs::new(7);
        fs.fail_at(7, Fault::Stop);
        let _ = put(&fs, &[], &sample(3, 20_000));
        let after = fs.crash(seed);
        (names(&after), contents(&after, "a"), contents(&after, "a.tmp"))
    };
    assert!((0..100).all(|seed| run(seed) == run(seed)));
    assert!((1..100).any(|seed| run(seed) != run(0)));
}

#[test]
fn a_crash_can_follow_a_crash() {
    let written = sample(1, 3 * PAGE_BYTES);
    let fs = FaultFs::new(0);
    write(&fs, "a", &written).unwrap().sync().unwrap();
    fs.sync_dir("").unwrap();
    for seed in 0..200 {
        let second = fs.crash(seed);
        second.open_append("a").unwrap().append(b"more").unwrap();
        let third = contents(&second.crash(seed), "a").unwrap();
        assert_eq!(third[..written.len()], written);
    }
}

/// The steps of the write protocol that can be left out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Temp,
    Sync,
    SyncDir,
}

/// Stores `bytes` as `a`: temp, write, sync, rename, sync directory.
fn put(fs: &FaultFs, without: &[Step], bytes: &[u8]) -> Result<()> {
    let with = |step| !without.contains(&step);
    let name = if with(Step::Temp) { "a.tmp" } else { "a" };
    let mut file = fs.create(name)?;
    for part in bytes.chunks(5000) {
        file.append(part)?;
    }
    if with(Step::Sync) {
        file.sync()?;
    }
    if with(Step::Temp) {
        fs.rename(name, "a")?;
    }
    if with(Step::SyncDir) {
        fs.sync_dir("")?;
    }
    Ok(())
}

/// Stops the protocol at each operation and counts what is found after the restart.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    /// `a` is there, but not whole.
    torn: usize,
    /// `put` had reported success, but `a` is not there.
    lost: usize,
    /// `a` is there and whole.
    whole: usize,
    /// `a` is not there, and nobody was promised it.
    absent: usize,
}

fn try_protocol(without: &[Step]) -> Tally {
    let bytes = sample(5, 20_000);
    let mut tally = Tally::default();
    for stop_at in 1.. {
        let mut finished = false;
        for seed in 0..400 {
            let fs = FaultFs::new(seed);
            fs.fail_at(stop_at, Fault::Stop);
            finished = put(&fs, without, &bytes).is_ok();
            match contents(&fs.crash(seed), "a") {
                Ok(found) if found == bytes => tally.whole += 1,
                Ok(_) => tally.torn += 1,
                Err(FsErrorKind::NotFound) if finished => tally.lost += 1,
                Err(FsErrorKind::NotFound) => tally.absent += 1,
                Err(kind) => panic!("{kind:?}"),
            }
        }
        if finished {
            return tally;
        }
    }
    unreachable!()
}

#[test]
fn the_write_protocol_is_safe() {
    let tally = try_protocol(&[]);
    assert_eq!((tally.torn, tally.lost), (0, 0), "{tally:?}");
    assert!(tally.whole > 0 && tally.absent > 0, "{tally:?}");
}

/// Canary: a harness that does not see these would not see a real mistake either.
#[test]
fn the_write_protocol_without_any_one_step_is_not() {
    let torn = |without: &[Step]| try_protocol(without).torn;
    let lost = |without: &[Step]| try_protocol(without).lost;
    assert!(torn(&[Step::Sync]) > 0);
    assert!(torn(&[Step::Temp]) > 0);
    assert_eq!(torn(&[Step::SyncDir]), 0, "the name is late, but leads to a whole file");
    assert!(lost(&[Step::SyncDir]) > 0);
    assert_eq!(lost(&[Step::Sync]), 0);
}
