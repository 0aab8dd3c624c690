//! Teacher forcing: given tokens in, values of every position out. What `ds4 run --tokens` and the
//! oracle tests use.

use std::collections::BTreeMap;

use ds4_model::buffer::Element;
use ds4_model::kv::PAGE_TOKENS;
use ds4_model::op::Region;
use ds4_model::plan::LogitRows;
use ds4_model::step::{CancelToken, Token};

use crate::engine::{Engine, EngineError, Extend, LaneId};

/// A named tensor, shape \[dims\], row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor {
    /// Numbers.
    F32 {
        /// Outermost first.
        dims: Vec<usize>,
        /// Values.
        data: Vec<f32>,
    },
    /// Ids; -1 is no id.
    I32 {
        /// Outermost first.
        dims: Vec<usize>,
        /// Values.
        data: Vec<i32>,
    },
}

impl Tensor {
    /// Outermost first.
    pub fn dims(&self) -> &[usize] {
        match self {
            Tensor::F32 { dims, .. } | Tensor::I32 { dims, .. } => dims,
        }
    }

    /// Keeps some rows of the outermost dimension.
    pub fn rows(&self, rows: &[usize]) -> Self {
        fn pick<T: Copy>(dims: &[usize], data: &[T], rows: &[usize]) -> (Vec<usize>, Vec<T>) {
            let width: usize = dims[1..].iter().product();
            let picked = rows.iter().flat_map(|row| &data[row * width..(row + 1) * width]);
            let dims = [&[rows.len()], &dims[1..]].concat();
            (dims, picked.copied().collect())
        }
        match self {
            Tensor::F32 { dims, data } => {
                let (dims, data) = pick(dims, data, rows);
                Tensor::F32 { dims, data }
            }
            Tensor::I32 { dims, data } => {
                let (dims, data) = pick(dims, data, rows);
                Tensor::I32 { dims, data }
            }
        }
    }
}

/// How to feed the tokens.
#[derive(Clone, Debug, Default)]
pub struct TeacherOptions {
    /// Tokens of a step and lane.
    pub chunk: usize,
    /// Lanes that run in the same steps. Lane 0 gets the tokens, the others the same ones rotated.
    pub lanes: usize,
    /// Trace every tensor of `trace_names`, not the logits alone.
    pub trace: bool,
}

/// Plan buffer of each traced tensor of a layer.
const TRACED: [(&str, &str); 6] = [
    ("hc_out", "hc_out"),
    ("attn_out", "attn_out"),
    ("moe_out", "moe_out"),
    ("router_ids", "router_ids"),
    ("router_weights", "router_weights"),
    ("index_topk", "index_topk"),
];

/// Tensors that are recorded only at some positions in the oracle's files: one row for each of
/// them.
pub const SPARSE: [&str; 5] = ["hc_out", "attn_out", "moe_out", "raw_kv", "final_norm"];

/// Runs all tokens and collects lane 0: `logits` \[T, V\], and with `trace` the oracle's
/// intermediate tensors (`blk.I.hc_out` \[T, N, D\], ..., `blk.I.comp_kv` and `blk.I.index_kv` as
/// the cache holds them). Lanes are dropped after.
///
/// # Errors
/// Of the engine.
pub fn teacher_forced(
    engine: &mut Engine,
    tokens: &[u32],
    options: &TeacherOptions,
) -> Result<BTreeMap<String, Tensor>, EngineError> {
    let lanes: Vec<LaneId> =
        (0..options.lanes.max(1)).map(|_| engine.new_lane()).collect::<Result<_, _>>()?;
    let names = if options.trace { trace_names(engine) } else { Vec::new() };
    let buffers: Vec<&str> =
        std::iter::once("logits").chain(names.iter().map(|(_, buffer)| buffer.as_str())).collect();
    let mut collected: BTreeMap<String, Tensor> = BTreeMap::new();
    let chunk = options.chunk.clamp(1, tokens.len().max(1));
    for start in (0..tokens.len()).step_by(chunk) {
        let end = tokens.len().min(start + chunk);
        let extend = |(i, &lane): (usize, &LaneId)| Extend {
            lane,
            tokens: (start..end).map(|t| Token::Id(tokens[(t + 7 * i) % tokens.len()])).collect(),
            sampling: None,
        };
        let extends: Vec<Extend> = lanes.iter().enumerate().map(extend).collect();
        let cancel = CancelToken::default();
        let (result, plan) = engine.extend(&extends, LogitRows::All, &buffers, &cancel)?;
        for value in &result.kept {
            let buffer = plan.buffer(value.buffer);
            let own = &value.data[..(end - start) * buffer.width()];
            let name = names.iter().find(|(_, found)| *found == buffer.name);
            let name = name.map_or("logits", |(name, _)| name);
            append(&mut collected, name, &buffer.dims, buffer.element, own, end - start);
        }
    }
    if options.trace {
        cached_rows(engine, lanes[0], tokens.len(), &mut collected)?;
        fill_selections(engine, tokens.len(), &mut collected);
    }
    lanes.into_iter().try_for_each(|lane| engine.drop_lane(lane))?;
    Ok(collected)
}

/// (oracle name, plan buffer) of everything traced from buffers.
fn trace_names(engine: &Engine) -> Vec<(String, String)> {
    let raw = match engine.options.format {
        ds4_model::kv::RowFormat::Exact => "kv_rope",
        ds4_model::kv::RowFormat::Packed => "kv_round",
    };
    let layer = |i: usize| {
        let pairs = TRACED.into_iter().chain([("raw_kv", raw)]);
        pairs.map(move |(name, buffer)| (format!("blk.{i}.{name}"), format!("blk.{i}.{buffer}")))
    };
    let head = ("final_norm".to_owned(), "final_norm".to_owned());
    (0..engine.model.shape.layers).flat_map(layer).chain([head]).collect()
}

fn append(
    collected: &mut BTreeMap<String, Tensor>,
    name: &str,
    inner: &[usize],
    element: Element,
    values: &[f32],
    rows: usize,
) {
    let dims = || [&[0], inner].concat();
    let tensor = collected.entry(name.to_owned()).or_insert_with(|| match element {
        Element::F32 => Tensor::F32 { dims: dims(), data: Vec::new() },
        Element::U32 => Tensor::I32 { dims: dims(), data: Vec::new() },
    });
    match tensor {
        Tensor::F32 { dims, data } => {
            dims[0] += rows;
            data.extend_from_slice(values);
        }
        Tensor::I32 { dims, data } => {
            dims[0] += rows;
            // Padding is u32::MAX: -1.
            data.extend(values.iter().map(|value| value.to_bits() as i32));
        }
    }
}

/// Reads compressed rows and indexer keys back from the pages.
fn cached_rows(
    engine: &mut Engine,
    lane: LaneId,
    length: usize,
    collected: &mut BTreeMap<String, Tensor>,
) -> Result<(), EngineError> {
    let layout = engine.layout().clone();
    let pages: Vec<Vec<u8>> = (0..length.div_ceil(PAGE_TOKENS))
        .map(|index| engine.read_page(lane, index))
        .collect::<Result<_, _>>()?;
    let mut start = 0;
    for (i, layer) in layout.layers.iter().enumerate() {
        let Some(page) = &layer.page else { continue };
        for (region, name) in [(Region::Compressed, "comp_kv"), (Region::Index, "index_kv")] {
            let Some(rows) = layer.rows(region) else { continue };
            let (count, dim) = (length / layer.ratio, rows.dim());
            let mut data = vec![0.0; count * dim];
            for (row, out) in data.chunks_exact_mut(dim).enumerate() {
                let bytes = &pages[row / page.rows][start..start + page.bytes];
                rows.decode(bytes, page.spans(region), row % page.rows, out);
            }
            let tensor = Tensor::F32 { dims: vec![count, dim], data };
            collected.insert(format!("blk.{i}.{name}"), tensor);
        }
        start += page.bytes;
    }
    Ok(())
}

/// Steps whose class has at most k visible rows record no selection: there all visible rows are
/// used. Early steps of a sequence are such, so the rows that are missing are the first ones.
fn fill_selections(engine: &Engine, length: usize, collected: &mut BTreeMap<String, Tensor>) {
    let shape = &engine.model.shape;
    let k = shape.index_top_k;
    for (i, _) in shape.ratios.iter().enumerate().filter(|(_, ratio)| **ratio == 4) {
        let name = format!("blk.{i}.index_topk");
        let traced = match collected.remove(&name) {
            Some(Tensor::I32 { data, .. }) => data,
            _ => Vec::new(),
        };
        let missing = length - traced.len() / k;
        let row = |position: usize| {
            (0..k as i32).map(move |id| if (id as usize) < (position + 1) / 4 { id } else { -1 })
        };
        let data = (0..missing).flat_map(row).chain(traced).collect();
        collected.insert(name, Tensor::I32 { dims: vec![length, k], data });
    }
}
