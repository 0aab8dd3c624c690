//! The catalogue of malformed files: one case for each way a file has been found to be bad. The
//! rows (H1, K1, T1 ...) group them by header, keys and tensors.

use ds4_format::gguf::{GgufErrorKind as Kind, Subject};

use super::{ARRAY, BOOL, F32, I32, Raw, STRING, U8, U32, U64};

/// One bad file.
pub struct Case {
    /// Row of the catalogue and what is wrong.
    pub name: &'static str,
    /// Its bytes, and where the fault is.
    pub file: Raw,
    /// Declared size, where it is not that of the bytes.
    pub file_bytes: Option<u64>,
    /// What the parser must say.
    pub kind: Kind,
    /// The entry it must name.
    pub subject: Subject,
}

fn case(name: &'static str, kind: Kind, subject: Subject, file: Raw) -> Case {
    Case { name, file, file_bytes: None, kind, subject }
}

fn sized(case: Case, file_bytes: u64) -> Case {
    Case { file_bytes: Some(file_bytes), ..case }
}

fn key(name: &str) -> Subject {
    Subject::Key(name.to_owned())
}

fn tensor(name: &str) -> Subject {
    Subject::Tensor(name.to_owned())
}

/// A file that calls itself `version`.
fn version(version: u32) -> Raw {
    Raw::default().text("GGUF").mark().u32(version).u64(0).u64(0)
}

fn headers() -> Vec<Case> {
    let header = |name, kind, file| case(name, kind, Subject::Header, file);
    let empty = Raw::default().mark();
    let tail = [0; 64];
    vec![
        header("H1 empty file", Kind::Truncated, empty.clone()),
        header("H1 three bytes", Kind::Truncated, empty.clone().text("GGU")),
        header("H1 wrong magic", Kind::Magic, empty.clone().text("GGML").raw(&[0; 20])),
        header("H1 lower case", Kind::Magic, empty.text("gguf").raw(&[0; 20])),
        header("H1 no version", Kind::Truncated, Raw::default().text("GGUF").mark()),
        header(
            "H1 half a header",
            Kind::Truncated,
            Raw::default().text("GGUF").u32(3).u64(0).mark(),
        ),
        header("H2 version 0", Kind::Version, version(0)),
        header("H2 version 1", Kind::Version, version(1)),
        header("H2 version 4", Kind::Version, version(4)),
        header("H2 largest version", Kind::Version, version(u32::MAX)),
        header("H2 big-endian version 2", Kind::ByteOrder, version(2_u32.swap_bytes())),
        header("H2 big-endian version 3", Kind::ByteOrder, version(3_u32.swap_bytes())),
        header("H3 2^63 tensors", Kind::Count, tensors_declared(1 << 63, &tail)),
        header("H3 -1 tensors", Kind::Count, tensors_declared(u64::MAX, &tail)),
        header("H3 one tensor more than fits", Kind::Count, tensors_declared(3, &[0; 33 * 3 - 9])),
        sized(
            header("H3 more tensors than allowed", Kind::Count, tensors_declared(100_001, &tail)),
            1 << 40,
        ),
        header("H3 2^63 keys", Kind::Count, keys_declared(1 << 63, &tail)),
        header("H3 -1 keys", Kind::Count, keys_declared(u64::MAX, &tail)),
        header("H3 one key more than fits", Kind::Count, keys_declared(4, &[0; 14 * 4 - 1])),
        sized(
            header("H3 more keys than allowed", Kind::Count, keys_declared(10_001, &tail)),
            1 << 40,
        ),
    ]
}

fn tensors_declared(count: u64, tail: &[u8]) -> Raw {
    Raw::default().text("GGUF").u32(3).mark().u64(count).u64(0).raw(tail)
}

fn keys_declared(count: u64, tail: &[u8]) -> Raw {
    Raw::default().text("GGUF").u32(3).u64(0).mark().u64(count).raw(tail)
}

/// One key, whose name or value follows.
fn one_key() -> Raw {
    Raw::header(0, 1)
}

fn strings() -> Vec<Case> {
    let tail = [b'x'; 32];
    let name = |name, kind, bytes: &[u8]| {
        case(name, kind, Subject::KeyNumber(0), one_key().mark().string(bytes).raw(&tail))
    };
    let length = |name, kind, length| {
        case(name, kind, Subject::KeyNumber(0), one_key().mark().u64(length).raw(&tail))
    };
    let value = |name, length| {
        let file = one_key().key("k", STRING).mark().u64(length).raw(&tail);
        case(name, Kind::StringLength, key("k"), file)
    };
    let twice = one_key().raw(&[]);
    let twice = Raw { bytes: [&twice.bytes[..16], &2_u64.to_le_bytes()].concat(), marked: None };
    let twice = twice.key("same", U32).u32(1).mark().key("same", U32).u32(1);
    vec![
        length("K1 key length past the end", Kind::StringLength, 33),
        length("K1 key length -1", Kind::KeyName, u64::MAX),
        value("K1 value one byte past the end", 33),
        value("K1 value of 1 GiB", 1 << 30),
        value("K1 value of 2^63", 1 << 63),
        value("K1 value of -1", u64::MAX),
        sized(value("K1 value over the limit in a large file", (16 << 20) + 1), 1 << 40),
        name("K2 empty key", Kind::KeyName, b""),
        name("K2 overlong key", Kind::KeyName, &[b'k'; 257]),
        name("K2 key with NUL", Kind::KeyName, b"a\0b"),
        name("K2 key with an escape", Kind::KeyName, b"a\x1b[2J"),
        case(
            "K2 key not UTF-8",
            Kind::Utf8,
            Subject::KeyNumber(0),
            one_key().u64(4).text("ab").mark().raw(&[0xff, 0xfe]).raw(&tail),
        ),
        case(
            "K2 value not UTF-8",
            Kind::Utf8,
            key("k"),
            one_key().key("k", STRING).u64(3).text("ab").mark().raw(&[0xc3]).raw(&tail),
        ),
        case(
            "K2 array element not UTF-8",
            Kind::Utf8,
            key("k"),
            one_key().array("k", STRING, 2).string(b"ok").u64(1).mark().raw(&[0x80]).raw(&tail),
        ),
        case("K2 duplicate key", Kind::DuplicateKey, key("same"), twice),
    ]
}

fn values() -> Vec<Case> {
    let tail = [0; 32];
    let value_type = |name, id| {
        let file = one_key().string(b"k").mark().u32(id).raw(&tail);
        case(name, Kind::ValueType, key("k"), file)
    };
    let array = |name, element, count| {
        let file = one_key().key("k", ARRAY).u32(element).mark().u64(count).raw(&tail);
        case(name, Kind::ArrayLength, key("k"), file)
    };
    let at_element = |name, kind, element| {
        let file = one_key().key("k", ARRAY).mark().u32(element).u64(1).raw(&tail);
        case(name, kind, key("k"), file)
    };
    let boolean = one_key().key("k", BOOL).mark().raw(&[2]).raw(&tail);
    let booleans = one_key().array("k", BOOL, 3).raw(&[0, 1]).mark().raw(&[0xff]).raw(&tail);
    let cut = one_key().key("k", U32).mark().raw(&[0; 2]);
    let cut_string = one_key().array("k", STRING, 2).string(b"0123456789").mark().raw(&[1, 0]);
    vec![
        value_type("K3 value type 13", 13),
        value_type("K3 value type -1", u32::MAX),
        case("K3 truth value 2", Kind::Bool, key("k"), boolean),
        case("K3 truth value 255 in an array", Kind::Bool, key("k"), booleans),
        case("K3 value cut off", Kind::Truncated, key("k"), cut),
        case("K3 string of an array cut off", Kind::Truncated, key("k"), cut_string),
        array("K4 array size wraps to 0", U64, 1 << 61),
        array("K4 array size wraps to 8", U64, (1 << 61) + 1),
        array("K4 array of 2^63 bytes", U8, 1 << 63),
        array("K4 array of -1 strings", STRING, u64::MAX),
        array("K4 array one element past the end", F32, 9),
        array("K4 strings one past the end", STRING, 5),
        at_element("K4 array of arrays", Kind::NestedArray, ARRAY),
        at_element("K4 array of unknown elements", Kind::ValueType, 99),
    ]
}

fn alignments() -> Vec<Case> {
    let name = "general.alignment";
    let u32_value = |case_name, value| {
        let file = one_key().mark().key(name, U32).u32(value);
        case(case_name, Kind::Alignment, key(name), file)
    };
    let typed = |case_name, value_type, bytes: &[u8]| {
        let file = one_key().mark().key(name, value_type).raw(bytes);
        case(case_name, Kind::WrongType, key(name), file)
    };
    vec![
        u32_value("K6 alignment 0", 0),
        u32_value("K6 alignment 24", 24),
        u32_value("K6 alignment 4", 4),
        u32_value("K6 alignment 8192", 8_192),
        u32_value("K6 alignment 2^30", 1 << 30),
        u32_value("K6 alignment 2^32 - 1", u32::MAX),
        typed("K6 alignment as u64", U64, &32_u64.to_le_bytes()),
        typed("K6 negative alignment", I32, &(-32_i32).to_le_bytes()),
        typed("K6 alignment as string", STRING, &[0; 8]),
    ]
}

fn tensor_entries() -> Vec<Case> {
    let one = || Raw::header(1, 0);
    let tail = [0; 64];
    let name = |case_name, kind, bytes: &[u8]| {
        let file = one().mark().string(bytes).raw(&tail);
        case(case_name, kind, Subject::TensorNumber(0), file)
    };
    let rank = |case_name, rank| {
        let file = one().string(b"t").mark().u32(rank).raw(&tail);
        case(case_name, Kind::Dimensions, tensor("t"), file)
    };
    let zero_second = one().string(b"t").u32(2).u64(4).mark().u64(0).raw(&tail);
    let type_id = |case_name, id| {
        let file = one().tensor_head("t", &[256]).mark().u32(id).u64(0).raw(&tail);
        case(case_name, Kind::TensorType, tensor("t"), file)
    };
    let partial = |case_name, width, id| {
        let file = one().mark().tensor("t", &[width, 2], id, 0).data(32, 1_000);
        case(case_name, Kind::PartialBlock, tensor("t"), file)
    };
    let twice = Raw::header(2, 0).tensor("same", &[8], 0, 0).mark().tensor("same", &[8], 0, 32);
    vec![
        name("T1 empty name", Kind::TensorName, b""),
        name("T1 name of 65 bytes", Kind::TensorName, &[b't'; 65]),
        name("T1 name with NUL", Kind::TensorName, b"t\0"),
        case(
            "T1 name not UTF-8",
            Kind::Utf8,
            Subject::TensorNumber(0),
            one().u64(2).mark().raw(&[0xff, 0xff]).raw(&tail),
        ),
        case(
            "T1 name past the end",
            Kind::StringLength,
            Subject::TensorNumber(0),
            one().mark().u64(60).raw(&[b't'; 40]),
        ),
        case("T1 duplicate tensor", Kind::DuplicateTensor, tensor("same"), twice.data(32, 64)),
        rank("T2 no dimensions", 0),
        rank("T2 five dimensions", 5),
        rank("T2 -1 dimensions", u32::MAX),
        case("T2 dimension 1 is 0", Kind::Dimensions, tensor("t"), zero_second),
        case(
            "T2 dimension 0 is 0",
            Kind::Dimensions,
            tensor("t"),
            one().string(b"t").u32(1).mark().u64(0).raw(&tail),
        ),
        type_id("T5 type without a decoder here", 3),
        type_id("T5 removed type", 4),
        type_id("T5 unknown type", u32::MAX),
        partial("T6 Q8_0 row of 33", 33, 8),
        partial("T6 Q2_K row of 128", 128, 10),
        partial("T6 IQ2_XXS row of 257", 257, 16),
        case("T1 entry cut off", Kind::Truncated, tensor("t"), entry_without_offset()),
    ]
}

fn entry_without_offset() -> Raw {
    Raw::header(1, 0).tensor_head("t", &[1]).u32(0).mark().raw(&[0; 7])
}

fn tensor_sizes() -> Vec<Case> {
    let size = |case_name, dims: &[u64], id| {
        let file = Raw::header(1, 0).mark().tensor("t", dims, id, 0).data(32, 64);
        case(case_name, Kind::TensorSize, tensor("t"), file)
    };
    let pair = |size: u64| {
        let first = Raw::header(2, 0).tensor("a", &[size], 0, 0);
        first.mark().tensor("b", &[size], 0, size * 4).data(32, 64)
    };
    vec![
        size("T3 element count wraps to 0", &[1 << 32, 1 << 32], 0),
        size("T3 element count wraps to 4", &[(1 << 62) + 1, 4], 0),
        size("T3 byte count wraps", &[1 << 62], 0),
        sized(size("T3 elements wrap where bytes do not", &[1 << 34, 1 << 30], 16), u64::MAX),
        size("T3 largest block row", &[u64::MAX - 255], 16),
        size("T3 four large dimensions", &[1 << 16, 1 << 16, 1 << 16, 1 << 16], 1),
        size("T3 larger than the file", &[1_000], 0),
        case("T4 sum larger than the file", Kind::TensorSize, tensor("b"), pair(32)),
        sized(case("T4 sum wraps", Kind::TensorSize, tensor("b"), pair(1 << 61)), u64::MAX),
    ]
}

fn tensor_offsets() -> Vec<Case> {
    // 32 floats; the offset field follows the marked place.
    let offset = |case_name, offset| {
        let file =
            Raw::header(1, 0).tensor_head("t", &[32]).u32(0).mark().u64(offset).data(32, 128);
        case(case_name, Kind::TensorOffset, tensor("t"), file)
    };
    let aligned = |alignment: u32, offset| {
        let head = Raw::header(1, 1).key("general.alignment", U32).u32(alignment);
        head.tensor_head("t", &[32]).u32(0).mark().u64(offset).data(alignment as usize, 4_096)
    };
    let two = |case_name, second| {
        let head = Raw::header(2, 0).tensor("a", &[32], 0, 0).tensor_head("b", &[8]).u32(0);
        case(case_name, Kind::Overlap, tensor("b"), head.mark().u64(second).data(32, 256))
    };
    let last = u64::MAX - 31;
    let whole = offset("T9 last byte missing", 0);
    let cut = whole.file.len() - 1;
    vec![
        offset("T7 misaligned by 1", 1),
        offset("T7 misaligned by 16", 16),
        offset("T7 past the end", 1 << 20),
        offset("T7 end past the end", 32),
        offset("T7 start wraps", last),
        sized(offset("T7 start wraps in the largest file", last), u64::MAX),
        case(
            "T7 half of a larger alignment",
            Kind::TensorOffset,
            tensor("t"),
            aligned(4_096, 2_048),
        ),
        two("T8 second begins inside the first", 96),
        two("T8 second begins where the first does", 0),
        sized(whole, cut),
        case("T9 no data at all", Kind::TensorSize, tensor("t"), directory_only()),
        sized(
            case(
                "T11 padding wraps near the largest offset",
                Kind::TensorOffset,
                tensor("t"),
                aligned(4_096, u64::MAX - 4_095),
            ),
            u64::MAX,
        ),
    ]
}

fn directory_only() -> Raw {
    Raw::header(1, 0).mark().tensor("t", &[32], 0, 0).data(32, 0)
}

/// Every case of the catalogue that concerns one file.
pub fn all_cases() -> Vec<Case> {
    [
        headers(),
        strings(),
        values(),
        alignments(),
        tensor_entries(),
        tensor_sizes(),
        tensor_offsets(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
