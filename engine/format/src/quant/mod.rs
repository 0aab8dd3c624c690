//! Quantised weight formats: block constants, device layout, decoders, encoders.
//!
//! The block constants of every format stand here and nowhere else; shader and CUDA constants are
//! generated from [`Quant`] and [`PlaneSpec`].

mod decode;
pub mod encode;
pub mod iq2_grid;
mod layout;
mod view;

use std::fmt;

pub use layout::{
    LayoutError, MatrixLayout, PLANE_ALIGNMENT, PlaneKind, PlaneSpan, PlaneSpec, repack,
    repack_planes, unpack,
};
pub use view::{MatrixView, decode_file_rows};

/// Element format of a tensor. The names are those of ggml.
#[allow(non_camel_case_types, reason = "the field's names of the formats")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quant {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an F32.
    BF16,
    /// Signed 32-bit integers: index tables.
    I32,
    /// 8 bits, blocks of 32 with one scale.
    Q8_0,
    /// 4 bits, blocks of 32 with one scale.
    Q4_0,
    /// 2 bits, blocks of 256 with 16 scales and minima of 4 bits.
    Q2_K,
    /// 4 bits, blocks of 256 with 8 scales and minima of 6 bits.
    Q4_K,
    /// About 2 bits, blocks of 256 made of vectors of 8 from a codebook of 256.
    IQ2_XXS,
    /// FP4 (e2m1), blocks of 32 with a power-of-two scale.
    MXFP4,
}

/// What distinguishes a format in the container.
struct Facts {
    name: &'static str,
    ggml_id: u32,
    block_len: usize,
    block_bytes: usize,
}

impl Quant {
    /// Every format, in declaration order.
    pub const ALL: [Quant; 10] = [
        Quant::F32,
        Quant::F16,
        Quant::BF16,
        Quant::I32,
        Quant::Q8_0,
        Quant::Q4_0,
        Quant::Q2_K,
        Quant::Q4_K,
        Quant::IQ2_XXS,
        Quant::MXFP4,
    ];

    /// Type ids of the container format, block lengths and sizes: spec/model.md 8.
    const fn facts(self) -> Facts {
        let (name, ggml_id, block_len, block_bytes) = match self {
            Quant::F32 => ("F32", 0, 1, 4),
            Quant::F16 => ("F16", 1, 1, 2),
            Quant::BF16 => ("BF16", 30, 1, 2),
            Quant::I32 => ("I32", 26, 1, 4),
            Quant::Q8_0 => ("Q8_0", 8, 32, 34),
            Quant::Q4_0 => ("Q4_0", 2, 32, 18),
            Quant::Q2_K => ("Q2_K", 10, 256, 84),
            Quant::Q4_K => ("Q4_K", 12, 256, 144),
            Quant::IQ2_XXS => ("IQ2_XXS", 16, 256, 66),
            Quant::MXFP4 => ("MXFP4", 39, 32, 17),
        };
        Facts { name, ggml_id, block_len, block_bytes }
    }

    /// Type id in a GGUF tensor entry.
    pub const fn ggml_id(self) -> u32 {
        self.facts().ggml_id
    }

    /// The format with this GGUF type id; `None` for every id this engine does not read.
    pub fn from_ggml_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|quant| quant.ggml_id() == id)
    }

    /// ggml's name, such as `"Q2_K"`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The format of this name, upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quant| quant.name().eq_ignore_ascii_case(name))
    }

    /// Elements of one block; 1 for plain formats.
    pub const fn block_len(self) -> usize {
        self.facts().block_len
    }

    /// Bytes of one block in a GGUF file.
    pub const fn block_bytes(self) -> usize {
        self.facts().block_bytes
    }

    /// Bytes of one row of `width` elements in a GGUF file; `None` if the row is not whole blocks
    /// or the size overflows.
    pub fn row_bytes(self, width: usize) -> Option<u64> {
        if !width.is_multiple_of(self.block_len()) {
            return None;
        }
        let blocks = u64::try_from(width / self.block_len()).ok()?;
        blocks.checked_mul(u64::try_from(self.block_bytes()).ok()?)
    }
}

impl fmt::Display for Quant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests;
