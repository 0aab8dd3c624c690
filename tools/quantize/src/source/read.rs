//! Rows of a part as f32.

use ds4_format::quant::{Quant, decode_file_rows};
use ds4_format::rounding::{E2M1, e4m3_to_f32, ue8m0_to_f32};

use super::{Element, Part, ScaleType, Scales};
use crate::QuantizeError;

/// The e4m3 codes that are NaN, without sign.
const E4M3_NAN: u8 = 0x7f;
/// The ue8m0 code that is NaN.
const UE8M0_NAN: u8 = 0xff;

impl Part {
    /// Bytes of a row in the file.
    fn row_bytes(&self) -> Option<usize> {
        match &self.element {
            Element::Blocks(quant) => quant.row_bytes(self.width)?.try_into().ok(),
            Element::I64 => self.width.checked_mul(8),
            Element::Fp8(_) => Some(self.width),
            Element::Fp4(_) => Some(self.width / 2),
        }
    }

    /// The bytes of some rows as they stand in the file.
    pub(crate) fn read_bytes(&self, first: usize, count: usize) -> Result<Vec<u8>, QuantizeError> {
        let place = || {
            let row = self.row_bytes()?;
            let start = self.offset.checked_add((first as u64).checked_mul(row as u64)?)?;
            Some((start, count.checked_mul(row)?))
        };
        let too_large =
            || QuantizeError::tensor(self.file.path(), &self.name, "its size overflows");
        let (start, length) = place().ok_or_else(too_large)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(start, &mut bytes)?;
        Ok(bytes)
    }

    /// The values of some rows.
    pub(crate) fn read_values(
        &self,
        first: usize,
        count: usize,
    ) -> Result<Vec<f32>, QuantizeError> {
        let bytes = self.read_bytes(first, count)?;
        let mut values = vec![0.0; count * self.width];
        let wrong = |what: String| QuantizeError::tensor(self.file.path(), &self.name, what);
        match &self.element {
            Element::Blocks(quant) => decode_file_rows(*quant, self.width, &bytes, &mut values)
                .map_err(|error| wrong(error.to_string()))?,
            Element::I64 => return Err(wrong("integers are no numbers to round".to_owned())),
            Element::Fp8(scales) => {
                if let Some(at) = bytes.iter().position(|code| code & 0x7f == E4M3_NAN) {
                    let row = first + at / self.width;
                    return Err(wrong(format!("row {row}, column {} is NaN", at % self.width)));
                }
                values.iter_mut().zip(&bytes).for_each(|(value, code)| *value = e4m3_to_f32(*code));
                self.scale(scales, first, &mut values)?;
            }
            Element::Fp4(scales) => {
                for ([low, high], byte) in values.as_chunks_mut().0.iter_mut().zip(&bytes) {
                    *low = E2M1[usize::from(byte & 15)];
                    *high = E2M1[usize::from(byte >> 4)];
                }
                self.scale(scales, first, &mut values)?;
            }
        }
        Ok(values)
    }

    /// Multiplies rows from `first` on by their tiles' scales.
    fn scale(
        &self,
        scales: &Scales,
        first: usize,
        values: &mut [f32],
    ) -> Result<(), QuantizeError> {
        let tiles = self.width.div_ceil(scales.tile_width);
        let mut loaded: Option<(usize, Vec<f32>)> = None;
        for (row, values) in (first..).zip(values.chunks_exact_mut(self.width)) {
            let tile_row = row / scales.tile_rows;
            if loaded.as_ref().is_none_or(|(at, _)| *at != tile_row) {
                loaded = Some((tile_row, scales.read(tile_row, tiles)?));
            }
            let factors = loaded.iter().flat_map(|(_, factors)| factors);
            for (values, factor) in values.chunks_mut(scales.tile_width).zip(factors) {
                values.iter_mut().for_each(|value| *value *= factor);
            }
        }
        Ok(())
    }

    /// The integers of some rows as the bytes of I32 rows.
    pub(crate) fn read_ids(&self, first: usize, count: usize) -> Result<Vec<u8>, QuantizeError> {
        let bytes = self.read_bytes(first, count)?;
        if matches!(self.element, Element::Blocks(Quant::I32)) {
            return Ok(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len() / 2);
        for (index, value) in bytes.as_chunks().0.iter().enumerate() {
            let value = i64::from_le_bytes(*value);
            let narrow = i32::try_from(value).map_err(|_| {
                let row = first + index / self.width.max(1);
                let what = format!("row {row}: {value} does not fit 32 bits");
                QuantizeError::tensor(self.file.path(), &self.name, what)
            })?;
            out.extend(narrow.to_le_bytes());
        }
        Ok(out)
    }
}

impl Scales {
    fn read(&self, tile_row: usize, tiles: usize) -> Result<Vec<f32>, QuantizeError> {
        let size = match self.stored {
            ScaleType::Ue8m0 => 1,
            ScaleType::F32 => 4,
        };
        let mut bytes = vec![0; tiles * size];
        self.file.read_exact_at(self.offset + (tile_row * tiles * size) as u64, &mut bytes)?;
        let scales: Vec<f32> = match self.stored {
            ScaleType::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            ScaleType::Ue8m0 => bytes
                .iter()
                .map(|&code| if code == UE8M0_NAN { f32::NAN } else { ue8m0_to_f32(code) })
                .collect(),
        };
        match scales.iter().position(|scale| !scale.is_finite()) {
            Some(at) => {
                let what = format!("scale [{tile_row}, {at}] is not finite");
                Err(QuantizeError::tensor(self.file.path(), &self.name, what))
            }
            None => Ok(scales),
        }
    }
}
