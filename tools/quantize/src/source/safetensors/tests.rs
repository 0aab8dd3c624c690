use super::*;

/// A file with this header and so many bytes of data.
fn opened(header: &str, data: usize) -> Result<Vec<Entry>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data]);
    std::fs::write(&path, bytes).unwrap();
    open(&path).map(|(_, entries)| entries).map_err(|error| error.to_string())
}

#[test]
fn entries_are_read_in_file_order() {
    let header = r#"{"__metadata__": {"format": "pt"},
        "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [4, 28]},
        "a": {"dtype": "F8_E8M0", "shape": [4], "data_offsets": [0, 4]},
        "c": {"dtype": "C64", "shape": [], "data_offsets": [28, 36]}}"#;
    let entries = opened(header, 36).unwrap();
    let start = 8 + header.len() as u64;
    assert_eq!(entries[0].name, "b");
    assert_eq!((entries[0].offset, entries[0].bytes), (start + 4, 24));
    assert_eq!(entries[1].dtype, Ok(Dtype::F8_E8M0));
    assert_eq!(entries[2].dtype, Err("C64".to_owned()));
}

#[test]
fn damaged_headers_are_refused_with_the_reason() {
    let one = |fields: &str| format!(r#"{{"w": {{{fields}}}}}"#);
    for (header, data, part) in [
        ("{".to_owned(), 0, "is no JSON"),
        ("[]".to_owned(), 0, "not a JSON object"),
        (one(r#""shape": [1], "data_offsets": [0, 4]"#), 4, "tensor w: no dtype"),
        (one(r#""dtype": "F32", "data_offsets": [0, 4]"#), 4, "tensor w: no shape"),
        (one(r#""dtype": "F32", "shape": [1]"#), 4, "tensor w: no data_offsets"),
        (one(r#""dtype": "F32", "shape": [-1], "data_offsets": [0, 4]"#), 4, "is no count"),
        (one(r#""dtype": "F32", "shape": [2], "data_offsets": [0, 4]"#), 4, "is not 4 bytes"),
        (one(r#""dtype": "F32", "shape": [1], "data_offsets": [4, 0]"#), 4, "before it begins"),
        (one(r#""dtype": "F32", "shape": [2], "data_offsets": [0, 8]"#), 4, "it is incomplete"),
        (one(r#""dtype": "F32", "shape": [1], "data_offsets": [4, 8]"#), 8, "begins at byte"),
        (one(r#""dtype": "F32", "shape": [1], "data_offsets": [0, 4]"#), 8, "it is damaged"),
        (
            one(r#""dtype": "F32", "shape": [4294967295, 4294967295, 9], "data_offsets": [0, 4]"#),
            4,
            "is not 4 bytes",
        ),
        (
            one(r#""dtype": "F32", "shape": [1], "data_offsets": [0, 18446744073709551615]"#),
            4,
            "no counts",
        ),
    ] {
        let error = opened(&header, data).unwrap_err();
        assert!(error.contains("x.safetensors"), "{error}");
        assert!(error.contains(part), "{header}: {error}");
    }
}

#[test]
fn a_length_beyond_the_file_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for (bytes, part) in [
        (vec![], "0 bytes are no safetensors file"),
        (vec![255; 20], "the header claims 18446744073709551615 bytes"),
        (b"GGUF\x03\0\0\0rest".to_vec(), "is it a safetensors file?"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
