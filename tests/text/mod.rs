//! Tokenizer, prompts, thinking and tool syntax against the official implementation.
//!
//! What they need: `sh tests/text/setup.sh` once (official tokenizer), and the chat oracle in
//! `DS4_ORACLE_CHAT` or `../shared/oracle/chat`; without the latter, the first lines of it that
//! stand in `tests/data/chat`. `DS4_TEXT_FULL=1` runs the long forms.

mod cli;
mod dsml;
mod parse;
mod render;
mod tokenizer;

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use ds4_text::Tokenizer;
use ds4_text::json::{self, Value};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the long forms of the tests were asked for.
fn full() -> bool {
    std::env::var_os("DS4_TEXT_FULL").is_some()
}

/// A file that `tests/text/setup.sh` makes.
fn cached(name: &str) -> Vec<u8> {
    let path = root().join("target/text-oracle").join(name);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}\nrun `sh tests/text/setup.sh` first (once)", path.display())
    })
}

/// The published tokenizer.
static TOKENIZER: LazyLock<Tokenizer> =
    LazyLock::new(|| Tokenizer::from_tokenizer_json(&cached("tokenizer.json")).unwrap());

/// A file of the chat oracle.
fn oracle(name: &str) -> String {
    let given = std::env::var_os("DS4_ORACLE_CHAT").map(std::path::PathBuf::from);
    let beside = root().join("../shared/oracle/chat");
    let folder = match given {
        Some(given) => given,
        None if beside.is_dir() => beside,
        None => root().join("tests/data/chat"),
    };
    let path = folder.join(name);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error} (DS4_ORACLE_CHAT)", path.display()))
}

/// The lines of a JSON Lines text. They may hold U+2028 and U+0085 as they are.
fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.split('\n')
        .filter(|line| !line.is_empty())
        .map(|line| json::parse(line).unwrap_or_else(|error| panic!("{error} in {line}")))
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u32().unwrap()).collect()
}

/// xorshift64: the only source of chance in these tests; a failure prints the seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % limit as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, pool: &[&'a T]) -> &'a T {
        pool[self.below(pool.len())]
    }
}

/// Time that this thread has computed, where the system says it (Linux); else time passed. Other
/// work on the machine does not count, so that limits can be tight.
struct Stopwatch {
    computed: Option<Duration>,
    started: Instant,
}

impl Stopwatch {
    fn new() -> Self {
        Stopwatch { computed: Self::computed(), started: Instant::now() }
    }

    fn computed() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let nanoseconds = text.split(' ').next()?.parse().ok()?;
        (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
    }

    fn elapsed(&self) -> Duration {
        match (self.computed, Self::computed()) {
            (Some(start), Some(end)) if end > start => end - start,
            _ => self.started.elapsed(),
        }
    }
}
