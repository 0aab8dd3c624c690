use std::collections::HashSet;
use std::sync::mpsc::channel;

use super::*;

fn ranges(file: &Arc<ReadFile>, count: usize) -> impl Iterator<Item = ReadRange<usize>> + use<> {
    let file = Arc::clone(file);
    let bytes = file.bytes() as usize / count;
    (0..count).map(move |tag| ReadRange {
        file: Arc::clone(&file),
        offset: (tag * bytes) as u64,
        bytes,
        tag,
    })
}

#[test]
fn every_range_is_delivered_once_while_workers_hold_blobs() {
    let sample = sample(2_000_003);
    let file = sample.open();
    for mut engine in engines() {
        let (sender, receiver) = channel::<(usize, Blob)>();
        let worker = std::thread::spawn(move || {
            let mut bytes = vec![Vec::new(); 200];
            for (tag, blob) in receiver {
                assert!(bytes[tag].is_empty(), "delivered twice");
                bytes[tag] = blob.to_vec();
            }
            bytes.concat()
        });
        read_ranges::<_, ReadError>(&mut *engine, ranges(&file, 200), |tag, blob| {
            sender.send((tag, blob)).unwrap();
            Ok(())
        })
        .unwrap();
        drop(sender);
        assert!(worker.join().unwrap() == sample.bytes[..2_000_000]);
    }
}

#[test]
fn reading_runs_ahead_of_the_consumer_but_not_of_the_pool() {
    let sample = sample(1_000_000);
    let file = sample.open();
    for mut engine in engines_with(|options| options.starved_timeout = Duration::from_millis(50)) {
        let mut held = Vec::new();
        let result = read_ranges::<_, ReadError>(&mut *engine, ranges(&file, 100), |_, blob| {
            held.push(blob);
            Ok(())
        });
        let error = result.unwrap_err();
        assert!(matches!(error, ReadError::Starved { buffers: 12, .. }), "{error}");
        assert_eq!(held.len(), 12, "all buffers were filled first");
        held.clear();
        let mut tags = HashSet::new();
        read_ranges::<_, ReadError>(&mut *engine, ranges(&file, 100), |tag, _| {
            assert!(tags.insert(tag));
            Ok(())
        })
        .unwrap();
        assert_eq!(tags.len(), 100, "usable after the error");
    }
}

#[test]
fn the_consumer_can_stop_the_reading() {
    #[derive(Debug)]
    enum Stop {
        Enough,
        Read,
    }
    impl From<ReadError> for Stop {
        fn from(_: ReadError) -> Self {
            Self::Read
        }
    }
    let sample = sample(1_000_000);
    let file = sample.open();
    for mut engine in engines() {
        let mut count = 0;
        let result = read_ranges(&mut *engine, ranges(&file, 100), |_, _| {
            count += 1;
            if count == 10 { Err(Stop::Enough) } else { Ok(()) }
        });
        assert!(matches!(result, Err(Stop::Enough)));
        assert_eq!((count, engine.in_flight()), (10, 0));
        assert_eq!(engine.pool().buffers_free(), engine.pool().buffers());
    }
}

#[test]
fn a_bad_range_stops_with_its_error() {
    let sample = sample(1_000_000);
    let file = sample.open();
    for mut engine in engines() {
        let bad = ReadRange { file: Arc::clone(&file), offset: 999_999, bytes: 2, tag: 0 };
        let list = ranges(&file, 20).take(5).chain([bad]);
        let result = read_ranges::<_, ReadError>(&mut *engine, list, |_, _| Ok(()));
        assert!(matches!(result, Err(ReadError::PastEnd { offset: 999_999, .. })));
        assert_eq!(engine.in_flight(), 0);
        accept(engine.submit(&file, 0, 1));
        let result = read_ranges::<_, ReadError>(&mut *engine, ranges(&file, 20), |_, _| Ok(()));
        assert!(matches!(result, Err(ReadError::Busy { in_flight: 1 })));
    }
}
