//! Writes traced tensors in the oracle's form.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use ds4_runtime::diagnose::{SPARSE, Tensor};
use safetensors::tensor::{Dtype, TensorView};

/// Writes `tokens`, `positions` (if some were chosen) and all tensors; the wide ones only at
/// `positions`, all below the number of tokens.
pub fn write(
    path: &Path,
    tokens: &[u32],
    mut tensors: BTreeMap<String, Tensor>,
    positions: Option<&[usize]>,
) -> anyhow::Result<()> {
    let ids = |ids: Vec<i32>| Tensor::I32 { dims: vec![ids.len()], data: ids };
    if let Some(positions) = positions {
        for (name, tensor) in &mut tensors {
            if SPARSE.contains(&name.rsplit('.').next().unwrap_or(name)) {
                *tensor = tensor.rows(positions);
            }
        }
        let positions = positions.iter().map(|&position| position as i32).collect();
        tensors.insert("positions".into(), ids(positions));
    }
    tensors.insert("tokens".into(), ids(tokens.iter().map(|&token| token as i32).collect()));

    let bytes: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, tensor)| match tensor {
            Tensor::F32 { dims, data } => {
                (name, Dtype::F32, dims, data.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
            Tensor::I32 { dims, data } => {
                (name, Dtype::I32, dims, data.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, dtype, dims, data)| {
            Ok((name.as_str(), TensorView::new(*dtype, dims.clone(), data)?))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    safetensors::serialize_to_file(views, None, path)
        .with_context(|| format!("cannot write {}", path.display()))
}
