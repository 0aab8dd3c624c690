//! Random reads of expert-sized blobs: both engines against plain `pread` loops.
//!
//! ```text
//! cargo bench -p ds4-io --bench read_random -- [--file PATH] [--seconds S] [--rounds N]
//! ```
//!
//! Without `--file`, 4 GiB of random (incompressible) bytes are written first and kept for the next
//! run. The variants run in turn, `N` times `S` seconds each, so that a change in the machine's load
//! meets all of them; medians are printed. "Percent" is of the best plain loop.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ds4_io::{
    Blob, Caching, EngineChoice, EngineOptions, ReadEngine, ReadError, ReadFile, ReadRange,
    open_engine, read_ranges,
};
use rustix::time::{ClockId, clock_gettime};

/// One routed expert of Flash in its 2-bit format (gate, up and down).
const BLOB_BYTES: usize = 7_077_888;
const BLOCK_BYTES: u64 = 4096;
const FILE_BYTES: u64 = 4 << 30;

struct Arguments {
    file: Option<PathBuf>,
    seconds: f64,
    rounds: usize,
}

/// What one variant does for the given time; gives the bytes read.
type Read = Box<dyn FnMut(&Path, Duration) -> u64>;

struct Variant {
    name: String,
    plain: bool,
    read: Read,
    gb_per_second: Vec<f64>,
    cpu_seconds_per_gb: Vec<f64>,
}

fn main() {
    let arguments = arguments();
    let path = arguments.file.unwrap_or_else(prepare_file);
    let bytes = fs::metadata(&path).expect("the file exists").len();
    println!("{}: {:.2} GB, blobs of {BLOB_BYTES} bytes", path.display(), bytes as f64 / 1e9);
    let direct = ReadFile::open(&path, Caching::Direct).expect("a regular file").is_direct();
    println!("reads past the page cache: {direct}");
    let mut variants = variants(&path);
    let duration = Duration::from_secs_f64(arguments.seconds);
    for _ in 0..arguments.rounds {
        for variant in &mut variants {
            measure(variant, &path, duration);
        }
    }
    report(&variants);
}

fn arguments() -> Arguments {
    let mut arguments = Arguments { file: None, seconds: 3.0, rounds: 5 };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let mut value = || given.next().unwrap_or_else(|| panic!("{name} needs a value"));
        match name.as_str() {
            "--file" => arguments.file = Some(value().into()),
            "--seconds" => arguments.seconds = value().parse().expect("a number of seconds"),
            "--rounds" => arguments.rounds = value().parse().expect("a number of rounds"),
            // Given by cargo.
            "--bench" => {}
            _ => panic!("unknown argument {name}"),
        }
    }
    arguments
}

/// The file of the last run, or a new one.
fn prepare_file() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("read_random.bin");
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == FILE_BYTES) {
        return path;
    }
    let mut file = File::create(&path).expect("the target directory is writable");
    let mut state = 0x0123_4567_89ab_cdefu64;
    let mut chunk = vec![0; 1 << 20];
    for _ in 0..FILE_BYTES / chunk.len() as u64 {
        for word in chunk.chunks_exact_mut(8) {
            word.copy_from_slice(&next(&mut state).to_le_bytes());
        }
        file.write_all(&chunk).expect("4 GiB fit on the disk");
    }
    file.sync_all().expect("the disk takes the file");
    path
}

/// Xorshift64 (Marsaglia 2003).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn variants(path: &Path) -> Vec<Variant> {
    let mut variants = Vec::new();
    for (threads, memory) in [
        (1, Memory::Ordinary),
        (4, Memory::Ordinary),
        (1, Memory::Huge),
        (2, Memory::Huge),
        (4, Memory::Huge),
        (8, Memory::Huge),
    ] {
        let name = format!("plain O_DIRECT pread loop, {threads} threads, {memory:?} pages");
        let mut buffers: Vec<_> = (0..threads).map(|_| PlainBuffer::new(path, memory)).collect();
        let read = Box::new(move |path: &Path, duration| read_plain(path, duration, &mut buffers));
        variants.push(variant(name, true, read));
    }
    for (queue_depth, piece_mib) in [(1, 1), (2, 1), (4, 1), (8, 1), (2, 8), (4, 8), (8, 8)] {
        let mut options = options(EngineChoice::Ring, queue_depth);
        options.ring_piece_bytes = piece_mib << 20;
        let name = format!("ds4-io ring, {queue_depth} in flight, pieces of {piece_mib} MiB");
        push_engine(&mut variants, name, options);
    }
    for threads in [1, 2, 4, 8] {
        let mut options = options(EngineChoice::Threads, threads);
        options.threads = threads;
        push_engine(&mut variants, format!("ds4-io threads, {threads} in flight"), options);
    }
    variants
}

fn variant(name: String, plain: bool, read: Read) -> Variant {
    Variant { name, plain, read, gb_per_second: Vec::new(), cpu_seconds_per_gb: Vec::new() }
}

fn options(choice: EngineChoice, queue_depth: usize) -> EngineOptions {
    let request_bytes_max = BLOB_BYTES;
    EngineOptions {
        choice,
        queue_depth,
        buffers: 2 * queue_depth,
        request_bytes_max,
        ..EngineOptions::default()
    }
}

fn push_engine(variants: &mut Vec<Variant>, name: String, options: EngineOptions) {
    match open_engine(options) {
        Ok(mut engine) => {
            println!("{name}: {}", engine.info());
            let read =
                Box::new(move |path: &Path, duration| read_engine(&mut *engine, path, duration));
            variants.push(variant(name, false, read));
        }
        Err(error) => println!("{name}: left out: {error}"),
    }
}

fn measure(variant: &mut Variant, path: &Path, duration: Duration) {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let gb = (variant.read)(path, duration) as f64 / 1e9;
    variant.gb_per_second.push(gb / start.elapsed().as_secs_f64());
    variant.cpu_seconds_per_gb.push((cpu_seconds() - cpu) / gb);
}

/// Processor time of all threads of this process, those of the ring in the kernel included.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn report(variants: &[Variant]) {
    let plain = variants.iter().filter(|variant| variant.plain);
    let best = plain.map(|variant| median(&variant.gb_per_second)).fold(0.0, f64::max);
    println!("\n| variant | GB/s | range | percent | CPU s/GB |\n| --- | --- | --- | --- | --- |");
    for variant in variants {
        let speed = median(&variant.gb_per_second);
        let low = variant.gb_per_second.iter().copied().fold(f64::MAX, f64::min);
        let high = variant.gb_per_second.iter().copied().fold(0.0, f64::max);
        let percent = 100.0 * speed / best;
        let cpu = median(&variant.cpu_seconds_per_gb);
        let name = &variant.name;
        println!("| {name} | {speed:.2} | {low:.2}-{high:.2} | {percent:.0} | {cpu:.3} |");
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn random_offset(state: &mut u64, file_bytes: u64) -> u64 {
    next(state) % ((file_bytes - BLOB_BYTES as u64) / BLOCK_BYTES) * BLOCK_BYTES
}

fn seed() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_nsec as u64 ^ 0x9e37_79b9_7f4a_7c15
}

/// What a plain loop reads into. Huge pages halve the work of a direct read, and the engines' buffers
/// lie in them, so the fair ceiling does too.
#[derive(Clone, Copy, Debug)]
enum Memory {
    Ordinary,
    Huge,
}

enum PlainBuffer {
    Ordinary(Vec<u8>),
    /// A blob of an engine, whose memory the plain loop writes over.
    Huge(Blob),
}

impl PlainBuffer {
    fn new(path: &Path, memory: Memory) -> Self {
        if let Memory::Ordinary = memory {
            return Self::Ordinary(vec![1; BLOB_BYTES + BLOCK_BYTES as usize]);
        }
        let options = EngineOptions { buffers: 1, ..options(EngineChoice::Threads, 1) };
        let mut engine = open_engine(options).expect("threads always work");
        let file = ReadFile::open(path, Caching::Direct).expect("a regular file");
        let _ = engine.submit(&file, 0, BLOB_BYTES).expect("the file is longer");
        let completion = engine.wait(Duration::MAX).expect("the engine works");
        let blob = completion.and_then(|completion| completion.result.ok());
        Self::Huge(blob.expect("the disk answers"))
    }

    fn target(&mut self) -> &mut [u8] {
        match self {
            Self::Ordinary(memory) => {
                let start = memory.as_ptr().align_offset(BLOCK_BYTES as usize);
                &mut memory[start..start + BLOB_BYTES]
            }
            Self::Huge(blob) => blob.as_mut_slice(),
        }
    }
}

/// The ceiling: nothing but system calls into one buffer for each thread.
fn read_plain(path: &Path, duration: Duration, buffers: &mut [PlainBuffer]) -> u64 {
    let total = AtomicU64::new(0);
    let deadline = Instant::now() + duration;
    thread::scope(|scope| {
        for (buffer, index) in buffers.iter_mut().zip(0..) {
            let (total, seed) = (&total, seed().wrapping_mul(2 * index + 1));
            scope.spawn(move || {
                let bytes = read_plain_thread(path, deadline, seed, buffer.target());
                total.fetch_add(bytes, Ordering::Relaxed)
            });
        }
    });
    total.into_inner()
}

fn read_plain_thread(path: &Path, deadline: Instant, mut state: u64, target: &mut [u8]) -> u64 {
    let file = open_plain(path);
    let file_bytes = rustix::fs::fstat(&file).expect("an open file").st_size as u64;
    let mut total = 0;
    while Instant::now() < deadline {
        let offset = random_offset(&mut state, file_bytes);
        let bytes = rustix::io::pread(&file, &mut *target, offset).expect("the disk answers");
        total += bytes as u64;
    }
    total
}

fn open_plain(path: &Path) -> rustix::fd::OwnedFd {
    use rustix::fs::{Mode, OFlags, open};
    #[cfg(target_os = "linux")]
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECT;
    #[cfg(not(target_os = "linux"))]
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).expect("the file can be opened");
    #[cfg(target_vendor = "apple")]
    rustix::fs::fcntl_nocache(&file, true).expect("the page cache can be avoided");
    file
}

fn read_engine(engine: &mut dyn ReadEngine, path: &Path, duration: Duration) -> u64 {
    let file = ReadFile::open(path, Caching::Direct).expect("a regular file");
    let deadline = Instant::now() + duration;
    let mut state = seed();
    let ranges = std::iter::from_fn(|| {
        let offset = random_offset(&mut state, file.bytes());
        let range = ReadRange { file: Arc::clone(&file), offset, bytes: BLOB_BYTES, tag: () };
        (Instant::now() < deadline).then_some(range)
    });
    let mut total = 0;
    read_ranges::<_, ReadError>(engine, ranges, |(), blob: Blob| {
        total += blob.len() as u64;
        Ok(())
    })
    .expect("the disk answers");
    total
}
