use std::collections::{HashMap, HashSet};

use super::*;

/// Submits as long as the engine takes requests, then compares what comes back.
fn read_random_ranges(engine: &mut dyn ReadEngine, sample: &Sample, file: &Arc<ReadFile>) {
    let seed = 0x5eed_0001;
    let mut random = Random(seed);
    let mut expected = HashMap::new();
    let mut left = 300;
    while left > 0 || engine.in_flight() > 0 {
        while left > 0 {
            let offset = random.below(sample.bytes.len());
            let bytes = random.below((sample.bytes.len() - offset).min(100_000) + 1);
            match engine.submit(file, offset as u64, bytes).unwrap() {
                Submission::Accepted(ticket) => {
                    assert!(expected.insert(ticket, offset..offset + bytes).is_none());
                    left -= 1;
                }
                Submission::QueueFull => break,
                Submission::NoBuffer => panic!("there are more buffers than requests"),
            }
        }
        let Completion { ticket, result } = complete(engine);
        let range = expected.remove(&ticket).expect("a ticket completes once");
        let blob = result.unwrap();
        assert!(blob[..] == sample.bytes[range.clone()], "seed {seed:#x}, range {range:?}");
    }
    assert!(expected.is_empty());
    assert_eq!(engine.pool().buffers_free(), engine.pool().buffers());
}

#[test]
fn random_unaligned_ranges_are_read_exactly() {
    let sample = sample(1_234_567);
    for caching in [Caching::Direct, Caching::Cached] {
        let file = ReadFile::open(&sample.path, caching).unwrap();
        for mut engine in engines() {
            read_random_ranges(&mut *engine, &sample, &file);
        }
    }
}

#[test]
fn buffers_that_cannot_be_registered_are_used_unregistered() {
    let sample = sample(1_234_567);
    let file = sample.open();
    // 500 MB: far beyond the usual limit on locked memory, so registered for root only.
    for mut engine in engines_with(|options| {
        options.buffers = 500;
        options.request_bytes_max = 1_000_000;
    }) {
        println!("{}", engine.info());
        read_random_ranges(&mut *engine, &sample, &file);
        let info = engine.info();
        assert!(
            info.kind == EngineKind::Threads || info.buffers_registered == info.notes.is_empty()
        );
    }
}

#[test]
fn a_file_system_without_direct_reads_works() {
    // Kernels before 6.6 refuse O_DIRECT on tmpfs.
    let Ok(dir) = TempDir::new_in("/dev/shm") else { return };
    let path = dir.path().join("sample");
    let bytes = Random(3).bytes(300_000);
    fs::write(&path, &bytes).unwrap();
    let sample = Sample { _dir: dir, path, bytes };
    let file = sample.open();
    for mut engine in engines() {
        read_random_ranges(&mut *engine, &sample, &file);
    }
}

#[test]
fn more_files_than_registered_places() {
    let samples: Vec<_> = (0..70).map(|index| sample(5000 + index)).collect();
    for mut engine in engines() {
        for _ in 0..2 {
            let mut files: Vec<_> = samples.iter().map(Sample::open).collect();
            for (sample, file) in samples.iter().zip(&files) {
                accept(engine.submit(file, 1, sample.bytes.len() - 1));
                assert_eq!(complete(&mut *engine).result.unwrap()[..], sample.bytes[1..]);
            }
            // Dropped files make room; the second round gets new identities in old places.
            files.clear();
        }
    }
}

#[test]
fn refused_requests_do_not_complete() {
    let sample = sample(200_000);
    let file = sample.open();
    for mut engine in engines() {
        let error = engine.submit(&file, 200_000, 1).unwrap_err();
        assert!(matches!(error, ReadError::PastEnd { offset: 200_000, bytes: 1, .. }), "{error}");
        let error = engine.submit(&file, u64::MAX, usize::MAX).unwrap_err();
        assert!(matches!(error, ReadError::PastEnd { .. }), "{error}");
        let error = engine.submit(&file, 0, 100_001).unwrap_err();
        assert!(matches!(error, ReadError::TooLong { bytes_max: 100_000, .. }), "{error}");
        assert_eq!(engine.in_flight(), 0);
        assert!(engine.wait(PATIENCE).unwrap().is_none(), "returns at once");
    }
}

#[test]
fn zero_bytes_need_no_buffer() {
    let sample = sample(10);
    let file = sample.open();
    for mut engine in engines_with(|options| options.buffers = 1) {
        accept(engine.submit(&file, 0, 10));
        let held = complete(&mut *engine).result.unwrap();
        for offset in [0, 5, 10] {
            let ticket = accept(engine.submit(&file, offset, 0));
            let completion = complete(&mut *engine);
            assert_eq!(completion.ticket, ticket);
            assert!(completion.result.unwrap().is_empty());
        }
        assert_eq!(held.len(), 10);
    }
}

#[test]
fn queue_and_pool_are_bounded() {
    let sample = sample(100_000);
    let file = sample.open();
    for mut engine in engines_with(|options| (options.queue_depth, options.buffers) = (3, 4)) {
        for _ in 0..3 {
            accept(engine.submit(&file, 0, 100_000));
        }
        assert_eq!(engine.submit(&file, 0, 1).unwrap(), Submission::QueueFull);
        let mut blobs: Vec<_> = (0..3).map(|_| complete(&mut *engine).result.unwrap()).collect();
        accept(engine.submit(&file, 0, 1));
        blobs.push(complete(&mut *engine).result.unwrap());
        assert_eq!(engine.submit(&file, 0, 1).unwrap(), Submission::NoBuffer);
        assert!(!engine.pool().wait_free(Duration::from_millis(10)));
        let pool = engine.pool().clone();
        let waiting = std::thread::spawn(move || pool.wait_free(PATIENCE));
        drop(blobs.pop());
        assert!(waiting.join().unwrap());
        accept(engine.submit(&file, 99_999, 1));
        assert_eq!(complete(&mut *engine).result.unwrap()[..], sample.bytes[99_999..]);
    }
}

#[test]
fn a_file_that_shrank_is_an_error_with_the_place() {
    for mut engine in engines() {
        let sample = sample(300_000);
        let file = sample.open();
        fs::File::options().write(true).open(&sample.path).unwrap().set_len(150_001).unwrap();
        accept(engine.submit(&file, 100_000, 50_001));
        assert_eq!(complete(&mut *engine).result.unwrap()[..], sample.bytes[100_000..150_001]);
        // In the middle of the request, at its start, and entirely gone.
        for offset in [100_002, 150_000, 200_000] {
            accept(engine.submit(&file, offset, 100_000));
            let error = complete(&mut *engine).result.unwrap_err();
            let ReadError::Shrunk { offset: at, end, file_bytes, .. } = error else {
                panic!("{error}");
            };
            assert_eq!((at, file_bytes), (offset, 300_000));
            assert!(end >= 150_001, "{end}");
        }
        assert_eq!(engine.pool().buffers_free(), engine.pool().buffers());
    }
}

#[test]
fn cancelled_requests_complete_once_and_return_their_buffers() {
    let sample = sample(2_000_000);
    let file = sample.open();
    for mut engine in engines() {
        let mut random = Random(11);
        let (mut cancelled, mut read) = (0, 0);
        for _ in 0..100 {
            let mut open = HashSet::new();
            for _ in 0..8 {
                let offset = random.below(1_900_000) as u64;
                open.insert(accept(engine.submit(&file, offset, 100_000)));
            }
            let mut victims: Vec<_> = open.iter().copied().collect();
            victims.sort();
            victims.iter().skip(random.below(8)).for_each(|&ticket| engine.cancel(ticket));
            while !open.is_empty() {
                let Completion { ticket, result } = complete(&mut *engine);
                assert!(open.remove(&ticket), "twice, or never submitted");
                match result {
                    Ok(blob) => read += usize::from(blob.len() == 100_000),
                    Err(ReadError::Cancelled { .. }) => cancelled += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            victims.iter().for_each(|&ticket| engine.cancel(ticket));
            assert_eq!(engine.in_flight(), 0);
            assert_eq!(engine.pool().buffers_free(), engine.pool().buffers());
        }
        assert_eq!(read + cancelled, 800);
        assert!(read > 0 && cancelled > 0, "{read} read, {cancelled} cancelled");
    }
}

#[test]
fn an_engine_dropped_with_reads_in_flight_returns_its_buffers() {
    let sample = sample(2_000_000);
    let file = sample.open();
    for _ in 0..20 {
        for mut engine in engines() {
            accept(engine.submit(&file, 5, 50_000));
            let blob = complete(&mut *engine).result.unwrap();
            for index in 0..8 {
                accept(engine.submit(&file, index * 200_000, 100_000));
            }
            let pool = engine.pool().clone();
            drop(engine);
            assert_eq!(blob[..], sample.bytes[5..50_005], "blobs outlive their engine");
            assert_eq!(pool.buffers(), 12);
            drop(blob);
            assert!(all_buffers_return(&pool));
        }
    }
    assert_eq!(Arc::strong_count(&file), 1, "no thread holds the file");
}

/// The kernel must have let go of a buffer before the pool gives it to someone else.
#[test]
fn returned_buffers_are_no_longer_written_to() {
    let sample = sample(8 << 20);
    // Dirty pages would send the reads through worker threads, where they can be called off.
    fs::File::open(&sample.path).unwrap().sync_all().unwrap();
    let file = sample.open();
    for mut engine in engines_with(|options| {
        (options.buffers, options.request_bytes_max) = (8, 8 << 20);
        options.ring_piece_bytes = 1 << 20;
    }) {
        for _ in 0..8 {
            accept(engine.submit(&file, 0, 8 << 20));
        }
        let pool = engine.pool().clone();
        drop(engine);
        let mut taken = Vec::new();
        while let Some(mut buffer) = pool.take() {
            buffer.as_mut_slice().fill(0xaa);
            taken.push(buffer);
        }
        std::thread::sleep(Duration::from_millis(200));
        assert!(taken.iter().all(|buffer| buffer.as_slice().iter().all(|&byte| byte == 0xaa)));
    }
}

#[test]
fn one_may_wait_for_ever_or_not_at_all() {
    let sample = sample(100_000);
    let file = sample.open();
    for mut engine in engines_with(|options| options.buffers = 1) {
        assert!(engine.poll().unwrap().is_none());
        accept(engine.submit(&file, 0, 100_000));
        let blob = engine.wait(Duration::MAX).unwrap().unwrap().result.unwrap();
        let pool = engine.pool().clone();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let pool = pool.clone();
                std::thread::spawn(move || pool.wait_free(Duration::MAX))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        drop(blob);
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
        accept(engine.submit(&file, 0, 100_000));
        let started = std::time::Instant::now();
        let completion = loop {
            if let Some(completion) = engine.poll().unwrap() {
                break completion;
            }
            assert!(started.elapsed() < PATIENCE);
        };
        assert_eq!(completion.result.unwrap()[..], sample.bytes[..]);
    }
}

#[test]
fn bytes_can_be_changed_in_place() {
    let sample = sample(9000);
    let file = sample.open();
    for mut engine in engines() {
        accept(engine.submit(&file, 4096, 4000));
        let mut blob = complete(&mut *engine).result.unwrap();
        assert_eq!(blob.as_ptr().align_offset(4096), 0);
        blob.as_mut_slice().reverse();
        assert!(blob.iter().rev().eq(&sample.bytes[4096..8096]));
    }
}

#[test]
fn options_are_checked() {
    let refused = |change: fn(&mut EngineOptions)| {
        let mut options = EngineOptions::default();
        change(&mut options);
        match open_engine(options) {
            Err(ReadError::Option { field, .. }) => field,
            _ => panic!("accepted"),
        }
    };
    assert_eq!(refused(|o| o.queue_depth = 0), "queue_depth");
    assert_eq!(refused(|o| o.queue_depth = 257), "queue_depth");
    assert_eq!(refused(|o| o.buffers = 0), "buffers");
    assert_eq!(refused(|o| o.request_bytes_max = (1 << 30) + 1), "request_bytes_max");
    assert_eq!(refused(|o| o.threads = 65), "threads");
    assert_eq!(refused(|o| o.ring_piece_bytes = 0), "ring_piece_bytes");
}

#[test]
fn the_choice_is_explained() {
    let engine = open_engine(options(EngineChoice::Auto)).unwrap();
    let info = engine.info();
    assert!(info.kind == EngineKind::Ring || info.notes[0].starts_with("no io_uring: "), "{info}");
    let threads = open_engine(options(EngineChoice::Threads)).unwrap();
    assert_eq!(
        threads.info().to_string(),
        "3 reading threads, 8 requests in flight, 12 buffers of 106496 bytes"
    );
}
