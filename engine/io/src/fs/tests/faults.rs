use super::*;

/// `create`, `append`, `sync`, `rename`, `sync_dir`, `open`, `read`, `list`: operations 1 to 8.
fn script(fs: &FaultFs) -> Result<Vec<u8>> {
    let mut file = write(fs, "a.tmp", &[7; 100])?;
    file.sync()?;
    fs.rename("a.tmp", "a")?;
    fs.sync_dir("")?;
    let mut target = vec![0; 100];
    let bytes = fs.open("a")?.read_at(0, &mut target)?;
    target.truncate(bytes);
    fs.list("")?;
    Ok(target)
}

#[test]
fn every_operation_can_fail_and_the_last_failure_free_run_succeeds() {
    for (fault, expected) in [(Fault::Io, FsErrorKind::Io), (Fault::Stop, FsErrorKind::Stopped)] {
        for number in 1..=8 {
            let fs = FaultFs::new(number);
            fs.fail_at(number, fault);
            assert_eq!(kind(script(&fs)), expected, "operation {number}");
            assert_eq!((fs.operations(), fs.faults_fired()), (number, 1));
            let after = fs.create("b").map(drop).map_err(|error| error.kind);
            let stopped = fault == Fault::Stop;
            assert_eq!(after, if stopped { Err(FsErrorKind::Stopped) } else { Ok(()) });
        }
        let fs = FaultFs::new(0);
        fs.fail_at(9, fault);
        assert_eq!(script(&fs).unwrap(), [7; 100]);
        assert_eq!((fs.operations(), fs.faults_fired()), (8, 0));
    }
}

#[test]
fn a_full_disk_stops_what_needs_room() {
    let failing: Vec<_> = (1..=8)
        .filter(|&number| {
            let fs = FaultFs::new(0);
            fs.fail_at(number, Fault::NoSpace);
            script(&fs).is_err_and(|error| error.kind == FsErrorKind::NoSpace)
        })
        .collect();
    assert_eq!(failing, [1, 2, 4], "create, append, rename");
}

#[test]
fn a_failed_append_leaves_a_part_and_abandons_the_file() {
    let mut parts = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let fs = FaultFs::new(seed);
        fs.fail_at(2, Fault::NoSpace);
        let mut file = fs.create("a").unwrap();
        assert_eq!(kind(file.append(&[7; 10])), FsErrorKind::NoSpace);
        assert_eq!(kind(file.append(&[7; 10])), FsErrorKind::Abandoned);
        assert_eq!(kind(file.sync()), FsErrorKind::Abandoned);
        parts.insert(file.bytes().unwrap());
    }
    assert!(parts.len() > 5 && parts.iter().all(|&bytes| bytes <= 10), "{parts:?}");
}

#[test]
fn after_a_failed_sync_nothing_is_saved_by_another() {
    let fs = FaultFs::new(0);
    let mut file = write(&fs, "a", &[7; 10_000]).unwrap();
    fs.sync_dir("").unwrap();
    fs.fail_at(4, Fault::Io);
    assert_eq!(kind(file.sync()), FsErrorKind::Io);
    assert_eq!(kind(file.sync()), FsErrorKind::Abandoned);
    fs.open_append("a").unwrap().sync().unwrap();
    let damaged = |seed| contents(&fs.crash(seed), "a").unwrap() != [7; 10_000];
    assert!((0..100).any(damaged));
}

#[test]
fn reads_can_be_short_and_wrong() {
    for seed in 0..100 {
        let fs = FaultFs::new(seed);
        fs.fail_at(7, Fault::ShortRead);
        let read = script(&fs).unwrap();
        assert!((1..100).contains(&read.len()) && read.iter().all(|&byte| byte == 7));
        let fs = FaultFs::new(seed);
        fs.fail_at(7, Fault::FlipBit);
        let read = script(&fs).unwrap();
        assert_eq!(read.iter().map(|byte| (byte ^ 7).count_ones()).sum::<u32>(), 1);
        assert_eq!(contents(&fs, "a").unwrap(), [7; 100], "only the read was wrong");
    }
}

#[test]
fn read_faults_come_by_chance() {
    let fs = FaultFs::new(42);
    write(&fs, "a", &[7; 1000]).unwrap();
    let file = fs.open("a").unwrap();
    fs.set_read_faults(Some(10));
    let (mut failed, mut short, mut flipped) = (0, 0, 0);
    for _ in 0..3000 {
        let mut target = [0; 1000];
        match file.read_at(0, &mut target) {
            Err(_) => failed += 1,
            Ok(bytes) if bytes < 1000 => short += 1,
            Ok(_) => flipped += usize::from(target != [7; 1000]),
        }
    }
    assert!([failed, short, flipped].iter().all(|count| (50..200).contains(count)));
    assert_eq!(fs.faults_fired(), (failed + short + flipped) as u64);
    fs.set_read_faults(None);
    assert_eq!(contents(&fs, "a").unwrap(), [7; 1000]);
}

#[test]
fn short_reads_are_completed_by_exact_ones() {
    for seed in 0..50 {
        let fs = FaultFs::new(seed);
        let file = write(&fs, "a", &Random(seed).bytes(5000)).unwrap();
        for number in 3..10 {
            fs.fail_at(number, Fault::ShortRead);
        }
        let mut target = vec![0; 5000];
        file.read_exact_at(0, &mut target).unwrap();
        assert_eq!(target, Random(seed).bytes(5000));
        assert!(fs.operations() > 3);
    }
}

#[test]
fn rot_stays() {
    let fs = FaultFs::new(0);
    write(&fs, "a", &[0; 4]).unwrap();
    fs.rot("a", 17).unwrap();
    assert_eq!(contents(&fs, "a").unwrap(), [0, 0, 2, 0]);
    assert_eq!(kind(fs.rot("a", 32)), FsErrorKind::EndOfFile);
    assert_eq!(kind(fs.rot("b", 0)), FsErrorKind::NotFound);
}
