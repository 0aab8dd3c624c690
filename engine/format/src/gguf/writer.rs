//! Making the directory of a GGUF file.

use super::reader::alignment;
use super::{Array, Gguf, GgufError, GgufErrorKind as Kind, Metadata, Subject, Value};
use crate::quant::Quant;

/// Largest data section that is laid out: with any directory the sums stay below 2^63, the largest
/// file.
const FILE_BYTES_MAX: u64 = 1 << 62;

/// Collects metadata and tensors and lays the file out. The data itself is the caller's: it goes to
/// the offsets that [`GgufWriter::finish`] returns, in any order, streamed or into a sparse file.
#[derive(Clone, Debug, Default)]
pub struct GgufWriter {
    metadata: Vec<(String, Value)>,
    tensors: Vec<NewTensor>,
}

#[derive(Clone, Debug)]
struct NewTensor {
    name: String,
    dims: Vec<u64>,
    quant: Quant,
}

/// A laid-out file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufDirectory {
    /// Header, metadata, tensor table, and zeros up to the data: the first bytes of the file.
    pub bytes: Vec<u8>,
    /// Where each tensor's data goes, in bytes from the start of the file, in the order they were
    /// added.
    pub offsets: Vec<u64>,
    /// Bytes of each tensor's data.
    pub tensor_bytes: Vec<u64>,
    /// Bytes of the whole file. The data of the last tensor is padded to the alignment.
    pub file_bytes: u64,
}

impl GgufWriter {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a metadata entry. `general.alignment` also sets the alignment of the data.
    pub fn key(&mut self, key: &str, value: Value) -> &mut Self {
        self.metadata.push((key.to_owned(), value));
        self
    }

    /// Appends a tensor; `dims[0]` is the contiguous dimension.
    pub fn tensor(&mut self, name: &str, dims: &[u64], quant: Quant) -> &mut Self {
        self.tensors.push(NewTensor { name: name.to_owned(), dims: dims.to_vec(), quant });
        self
    }

    /// Lays out the file: tensors in the order they were added, each at the next aligned offset.
    ///
    /// # Errors
    /// What [`Gguf::parse`] would refuse of the result: duplicate or bad names, an alignment that
    /// is no alignment, sizes that overflow.
    pub fn finish(&self) -> Result<GgufDirectory, GgufError> {
        let metadata = Metadata::new(self.metadata.iter().cloned())?;
        let alignment = u64::from(alignment(&metadata)?);
        let mut bytes = b"GGUF".to_vec();
        put(&mut bytes, 3_u32.to_le_bytes());
        put(&mut bytes, (self.tensors.len() as u64).to_le_bytes());
        put(&mut bytes, (metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata.iter() {
            put_string(&mut bytes, key);
            put(&mut bytes, value.value_type().id().to_le_bytes());
            put_value(&mut bytes, value);
        }
        let mut data_bytes = 0_u64;
        let (mut offsets, mut tensor_bytes) = (Vec::new(), Vec::new());
        for tensor in &self.tensors {
            let size = tensor.bytes().ok_or_else(|| tensor.too_large())?;
            put_tensor(&mut bytes, tensor, data_bytes);
            offsets.push(data_bytes);
            tensor_bytes.push(size);
            let end = data_bytes
                .checked_add(size)
                .and_then(|end| end.checked_next_multiple_of(alignment));
            data_bytes =
                end.filter(|&end| end <= FILE_BYTES_MAX).ok_or_else(|| tensor.too_large())?;
        }
        let data_start = (bytes.len() as u64).next_multiple_of(alignment);
        bytes.resize(data_start as usize, 0);
        offsets.iter_mut().for_each(|offset| *offset += data_start);
        let file_bytes = data_start + data_bytes;
        // The reader's rules are the only rules: whatever it refuses is not written.
        Gguf::parse(&bytes, file_bytes)?;
        Ok(GgufDirectory { bytes, offsets, tensor_bytes, file_bytes })
    }
}

impl NewTensor {
    fn bytes(&self) -> Option<u64> {
        let (width, rest) = self.dims.split_first()?;
        let row = self.quant.row_bytes(usize::try_from(*width).ok()?)?;
        rest.iter().try_fold(row, |bytes, &size| bytes.checked_mul(size))
    }

    fn too_large(&self) -> GgufError {
        let detail = format!(
            "dimensions {:?} in {} are not whole blocks or exceed what a file can hold",
            self.dims, self.quant
        );
        GgufError::new(Kind::TensorSize, Subject::Tensor(self.name.clone()), None, detail)
    }
}

fn put<const N: usize>(bytes: &mut Vec<u8>, number: [u8; N]) {
    bytes.extend_from_slice(&number);
}

fn put_string(bytes: &mut Vec<u8>, string: &str) {
    put(bytes, (string.len() as u64).to_le_bytes());
    bytes.extend_from_slice(string.as_bytes());
}

fn put_tensor(bytes: &mut Vec<u8>, tensor: &NewTensor, offset: u64) {
    put_string(bytes, &tensor.name);
    put(bytes, (tensor.dims.len() as u32).to_le_bytes());
    tensor.dims.iter().for_each(|size| put(bytes, size.to_le_bytes()));
    put(bytes, tensor.quant.ggml_id().to_le_bytes());
    put(bytes, offset.to_le_bytes());
}

fn put_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(value) => put(bytes, value.to_le_bytes()),
        Value::I8(value) => put(bytes, value.to_le_bytes()),
        Value::U16(value) => put(bytes, value.to_le_bytes()),
        Value::I16(value) => put(bytes, value.to_le_bytes()),
        Value::U32(value) => put(bytes, value.to_le_bytes()),
        Value::I32(value) => put(bytes, value.to_le_bytes()),
        Value::F32(value) => put(bytes, value.to_le_bytes()),
        Value::Bool(value) => put(bytes, [u8::from(*value)]),
        Value::String(value) => put_string(bytes, value),
        Value::Array(array) => put_array(bytes, array),
        Value::U64(value) => put(bytes, value.to_le_bytes()),
        Value::I64(value) => put(bytes, value.to_le_bytes()),
        Value::F64(value) => put(bytes, value.to_le_bytes()),
    }
}

fn put_array(bytes: &mut Vec<u8>, array: &Array) {
    put(bytes, array.element_type().id().to_le_bytes());
    put(bytes, (array.len() as u64).to_le_bytes());
    match array {
        Array::U8(values) => bytes.extend_from_slice(values),
        Array::I8(values) => values.iter().for_each(|value| put(bytes, value.to_le_bytes())),
        Array::U16(values) => values.iter().for_each(|value| put(bytes, value.to_le_bytes())),
        Array::I16(values) => values.iter().for_each(|value| put(bytes, value.to_le_bytes())),
        Array::U32(values) => values.iter().for_each(|value| put(bytes, value.to_le_bytes())),
        Array::I32(values) => values.iter().for_each(|value| put(bytes, value.to_le_bytes())),
        Array::F32(values) => values.iter().for_each(|value| put(bytes, value.to_le_bytes())),
        Array::Bool(values) => bytes.extend(values.iter().map(|&value| u8::from(value))),
        Array::String(values) => values.iter().for_each(|value| put_string(bytes, value)),
        Array::U64(values) => values.iter().for_each(|value| put(bytes, value.to_le_bytes())),
        Array::I64(values) => values.iter().for_each(|value| put(bytes, value.to_le_bytes())),
        Array::F64(values) => values.iter().for_each(|value| put(bytes, value.to_le_bytes())),
    }
}
