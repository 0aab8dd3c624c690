//! Bytes of GGUF files, good and bad, put together by hand: independent of the crate's writer,
//! which refuses to write bad ones.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod malformed;

/// Value type ids of the format.
pub const U8: u32 = 0;
pub const U32: u32 = 4;
pub const I32: u32 = 5;
pub const F32: u32 = 6;
pub const BOOL: u32 = 7;
pub const STRING: u32 = 8;
pub const ARRAY: u32 = 9;
pub const U64: u32 = 10;

/// A file under construction.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    pub bytes: Vec<u8>,
    /// Where the parser is expected to find fault.
    pub marked: Option<u64>,
}

impl Raw {
    /// Magic, version 3 and the two counts.
    pub fn header(tensors: u64, keys: u64) -> Self {
        Self::default().text("GGUF").u32(3).u64(tensors).u64(keys)
    }

    /// What is appended next is at fault.
    pub fn mark(mut self) -> Self {
        self.marked = Some(self.bytes.len() as u64);
        self
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn text(self, text: &str) -> Self {
        self.raw(text.as_bytes())
    }

    pub fn u32(self, value: u32) -> Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn u64(self, value: u64) -> Self {
        self.raw(&value.to_le_bytes())
    }

    pub fn string(self, bytes: &[u8]) -> Self {
        self.u64(bytes.len() as u64).raw(bytes)
    }

    /// A key and the type of its value, which follows.
    pub fn key(self, key: &str, value_type: u32) -> Self {
        self.string(key.as_bytes()).u32(value_type)
    }

    /// An array's head; its elements follow.
    pub fn array(self, key: &str, element: u32, count: u64) -> Self {
        self.key(key, ARRAY).u32(element).u64(count)
    }

    /// A whole tensor entry.
    pub fn tensor(self, name: &str, dims: &[u64], ggml_id: u32, offset: u64) -> Self {
        self.tensor_head(name, dims).u32(ggml_id).u64(offset)
    }

    /// A tensor entry up to its dimensions.
    pub fn tensor_head(self, name: &str, dims: &[u64]) -> Self {
        let head = self.string(name.as_bytes()).u32(dims.len() as u32);
        dims.iter().fold(head, |entry, &size| entry.u64(size))
    }

    /// Zeros up to the next multiple of `alignment`, then `count` bytes of data.
    pub fn data(mut self, alignment: usize, count: usize) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment) + count, 0);
        self
    }

    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// A small good file with a value of every kind and three tensors; the length of its directory too.
pub fn good() -> (Vec<u8>, usize) {
    let directory = Raw::header(3, 14)
        .key("general.architecture", STRING)
        .string(b"deepseek4")
        .key("general.alignment", U32)
        .u32(64)
        .key("a.u8", U8)
        .raw(&[200])
        .key("a.i8", 1)
        .raw(&[0x80])
        .key("a.u16", 2)
        .raw(&[1, 2])
        .key("a.i16", 3)
        .raw(&[0xff, 0xff])
        .key("a.i32", I32)
        .u32(7)
        .key("a.f32", F32)
        .u32(1.5_f32.to_bits())
        .key("a.bool", BOOL)
        .raw(&[1])
        .key("a.u64", U64)
        .u64(1 << 40)
        .key("a.f64", 12)
        .u64(0.25_f64.to_bits())
        .array("a.strings", STRING, 3)
        .string("é".as_bytes())
        .string(b"")
        .string(b"abc")
        .array("a.ratios", I32, 3)
        .u32(0)
        .u32(4)
        .u32(128)
        .array("a.bools", BOOL, 2)
        .raw(&[0, 1])
        .tensor("first", &[32, 2], 8, 0)
        .tensor("second", &[5], 0, 128)
        .tensor("third", &[256], 10, 192);
    let length = directory.bytes.len();
    (directory.data(64, 192 + 84).bytes, length)
}
