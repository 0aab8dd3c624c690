//! Any bytes as a GGUF file: parse it; if it is accepted, look everything up, decode every tensor
//! of up to 1 MiB, and write the directory again. Also the same bytes as the beginning of a larger
//! file.
#![no_main]

use ds4_format::gguf::{Gguf, GgufSet, GgufWriter};
use ds4_format::quant::decode_file_rows;
use libfuzzer_sys::fuzz_target;

const DECODE_BYTES_MAX: u64 = 1 << 20;

fuzz_target!(|file: &[u8]| {
    let _ = Gguf::parse(file, u64::MAX);
    let Ok(gguf) = Gguf::parse(file, file.len() as u64) else { return };
    let mut writer = GgufWriter::new();
    for (key, value) in gguf.metadata.iter() {
        assert_eq!(
            gguf.metadata.get(key).map(|found| found.value_type()),
            Some(value.value_type())
        );
        writer.key(key, value.clone());
        let _ =
            (gguf.metadata.u32(key), gguf.metadata.array_u32(key), gguf.metadata.array_f32(key));
    }
    for tensor in gguf.tensors() {
        assert_eq!(gguf.tensor(&tensor.name), Some(tensor));
        writer.tensor(&tensor.name, &tensor.dims, tensor.quant);
        let range = tensor.offset as usize..(tensor.offset + tensor.bytes) as usize;
        let data = &file[range];
        if tensor.bytes <= DECODE_BYTES_MAX {
            let mut out = vec![0.0; (tensor.width() * tensor.rows()) as usize];
            decode_file_rows(tensor.quant, tensor.width() as usize, data, &mut out).unwrap();
        }
    }
    // Written again, everything but offsets (the file may have had gaps) reads the same.
    let written = writer.finish().unwrap();
    let again = Gguf::parse(&written.bytes, written.file_bytes).unwrap();
    assert_eq!(again.metadata.len(), gguf.metadata.len());
    assert_eq!(again.tensors().len(), gguf.tensors().len());
    let _ = GgufSet::join(vec![gguf]);
});
