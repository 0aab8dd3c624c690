//! `inventory`: which tensors a model of a given shape has.

use ds4_format::quant::Quant;

use super::{Role, WeightId};
use crate::shape::Shape;

/// Sizes of a weight, outermost first. The last one is contiguous in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightKind {
    /// Single values.
    Vector {
        /// Number of values.
        len: usize,
    },
    /// Numbers, \[rows, width\]; a row is what one output needs.
    Matrix {
        /// Outputs.
        rows: usize,
        /// Inputs.
        width: usize,
    },
    /// One matrix for each expert, \[experts, rows, width\].
    Experts {
        /// Experts.
        experts: usize,
        /// Outputs of one expert.
        rows: usize,
        /// Inputs.
        width: usize,
    },
    /// Integers, \[rows, width\], looked up by row.
    Table {
        /// Entries.
        rows: usize,
        /// Values of an entry.
        width: usize,
    },
}

impl WeightKind {
    /// Experts, rows and width; 1 where there is no such dimension. A vector is one row.
    pub fn sizes(self) -> (usize, usize, usize) {
        match self {
            Self::Vector { len } => (1, 1, len),
            Self::Matrix { rows, width } | Self::Table { rows, width } => (1, rows, width),
            Self::Experts { experts, rows, width } => (experts, rows, width),
        }
    }

    /// Dimensions in ggml order, contiguous one first: \[width, rows, experts\] as far as they
    /// exist.
    pub fn dims(self) -> Vec<u64> {
        let sizes: &[usize] = match self {
            Self::Vector { len } => &[len],
            Self::Matrix { rows, width } | Self::Table { rows, width } => &[width, rows],
            Self::Experts { experts, rows, width } => &[width, rows, experts],
        };
        sizes.iter().map(|&size| wide(size)).collect()
    }

    /// Elements in all; the largest `u64` where they do not fit.
    pub fn elements(self) -> u64 {
        let (experts, rows, width) = self.sizes();
        wide(experts).saturating_mul(wide(rows)).saturating_mul(wide(width))
    }

    /// Elements of one matrix: of one expert, where there are several.
    pub fn matrix_elements(self) -> u64 {
        let (_, rows, width) = self.sizes();
        wide(rows).saturating_mul(wide(width))
    }
}

fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// How much of a weight is read to decode one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Touched {
    /// All of it.
    All,
    /// So many of its rows: an embedding, a table entry, the position row of a compressor.
    Rows(usize),
    /// The matrices of so many experts.
    Experts(usize),
    /// All of it, but only once the rows of a ratio-4 layer outnumber the indexer's top-k; that is
    /// at this many tokens of context (4 times top-k) plus one more row.
    OnlyBeyond(usize),
}

/// A tensor that a model has, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightSpec {
    /// Which weight.
    pub id: WeightId,
    /// Name in GGUF files.
    pub name: String,
    /// Sizes.
    pub kind: WeightKind,
    /// Types in which it is accepted, the published one first where there is only one.
    pub allowed: &'static [Quant],
    /// True where a file may lack it.
    pub optional: bool,
    /// How much of it one decoded token reads.
    pub touched: Touched,
}

impl WeightSpec {
    /// Bytes of the weight in the blocks of `quant`; `None` if rows are not whole blocks or it
    /// overflows.
    pub fn bytes(&self, quant: Quant) -> Option<u64> {
        let (experts, rows, width) = self.kind.sizes();
        quant.row_bytes(width)?.checked_mul(wide(rows))?.checked_mul(wide(experts))
    }

    /// Bytes of the weight read to decode one token that is number `context` of its sequence
    /// (counted from 1).
    pub fn bytes_per_token(&self, quant: Quant, context: usize) -> Option<u64> {
        let (experts, rows, width) = self.kind.sizes();
        let matrix = quant.row_bytes(width)?.checked_mul(wide(rows))?;
        match self.touched {
            Touched::All => matrix.checked_mul(wide(experts)),
            Touched::Rows(read) => quant.row_bytes(width)?.checked_mul(wide(read.min(rows))),
            Touched::Experts(used) => matrix.checked_mul(wide(used.min(experts))),
            Touched::OnlyBeyond(tokens) if context / 4 <= tokens / 4 => Some(0),
            Touched::OnlyBeyond(_) => matrix.checked_mul(wide(experts)),
        }
    }
}

/// Norms, scales, biases and sinks: small, and read by code that adds or multiplies single values.
const VECTOR: &[Quant] = &[Quant::F32];
/// What every published file keeps in F16: embedding, router, compressors, hyper-connections.
const PLAIN: &[Quant] = &[Quant::F16, Quant::F32, Quant::BF16];
/// The indexer's query projection: plain, or Q8_0 in some newer files.
const INDEX: &[Quant] = &[Quant::F16, Quant::F32, Quant::BF16, Quant::Q8_0];
/// Attention projections, shared expert and output head.
const DENSE: &[Quant] =
    &[Quant::Q8_0, Quant::F32, Quant::F16, Quant::BF16, Quant::Q4_0, Quant::Q4_K];
/// Routed experts.
const EXPERT: &[Quant] = &[
    Quant::IQ2_XXS,
    Quant::Q2_K,
    Quant::Q4_K,
    Quant::MXFP4,
    Quant::Q8_0,
    Quant::Q4_0,
    Quant::F16,
    Quant::F32,
    Quant::BF16,
];
/// Expert ids by token.
const IDS: &[Quant] = &[Quant::I32];

/// Every tensor of a model of this shape, in file order: embedding, head, then the layers.
///
/// Never panics; sizes that do not fit saturate (`Shape::check` refuses such shapes).
pub fn inventory(shape: &Shape) -> Vec<WeightSpec> {
    let mut list = List { layer: None, specs: Vec::new() };
    list.embedding_and_head(shape);
    for (layer, &ratio) in shape.ratios.iter().enumerate().take(shape.layers) {
        list.layer = u16::try_from(layer).ok();
        list.attention(shape);
        if ratio != 0 {
            list.compressor(shape, ratio);
        }
        if ratio == 4 {
            list.indexer(shape);
        }
        list.experts(shape, layer < shape.hash_layers);
    }
    list.specs
}

/// The inventory while it grows: the layer under way and the tensors so far.
struct List {
    layer: Option<u16>,
    specs: Vec<WeightSpec>,
}

impl List {
    fn add(&mut self, role: Role, kind: WeightKind, allowed: &'static [Quant]) -> &mut WeightSpec {
        let id = WeightId { layer: self.layer, role };
        let touched = Touched::All;
        let name = id.gguf_name();
        let at = self.specs.len();
        self.specs.push(WeightSpec { id, name, kind, allowed, optional: false, touched });
        &mut self.specs[at]
    }

    fn vector(&mut self, role: Role, len: usize) -> &mut WeightSpec {
        self.add(role, WeightKind::Vector { len }, VECTOR)
    }

    fn matrix(
        &mut self,
        role: Role,
        (rows, width): (usize, usize),
        allowed: &'static [Quant],
    ) -> &mut WeightSpec {
        self.add(role, WeightKind::Matrix { rows, width }, allowed)
    }

    fn embedding_and_head(&mut self, s: &Shape) {
        let flat = s.streams.saturating_mul(s.hidden);
        self.matrix(Role::TokenEmbedding, (s.vocab, s.hidden), PLAIN).touched = Touched::Rows(1);
        self.vector(Role::OutputNorm, s.hidden);
        self.matrix(Role::Output, (s.vocab, s.hidden), DENSE);
        self.matrix(Role::OutputHyperFn, (s.streams, flat), PLAIN);
        self.vector(Role::OutputHyperBase, s.streams);
        self.vector(Role::OutputHyperScale, 1);
    }

    /// The mixing weights around one sublayer: `pre`, `post` and the stream matrix come from one
    /// product.
    fn hyper_connection(&mut self, s: &Shape, [matrix, base, scale]: [Role; 3]) {
        let flat = s.streams.saturating_mul(s.hidden);
        let mixes = s.streams.saturating_mul(s.streams.saturating_add(2));
        self.matrix(matrix, (mixes, flat), PLAIN);
        self.vector(base, mixes);
        self.vector(scale, 3);
    }

    fn attention(&mut self, s: &Shape) {
        let queries = s.heads.saturating_mul(s.head_dim);
        let ranks = s.o_groups.saturating_mul(s.o_rank);
        let group = queries.checked_div(s.o_groups).unwrap_or(0);
        let roles = [Role::AttentionHyperFn, Role::AttentionHyperBase, Role::AttentionHyperScale];
        self.hyper_connection(s, roles);
        self.vector(Role::AttentionNorm, s.hidden);
        self.matrix(Role::QueryA, (s.q_rank, s.hidden), DENSE);
        self.vector(Role::QueryANorm, s.q_rank);
        self.matrix(Role::QueryB, (queries, s.q_rank), DENSE);
        self.matrix(Role::KeyValue, (s.head_dim, s.hidden), DENSE);
        self.vector(Role::KeyValueNorm, s.head_dim);
        self.vector(Role::Sinks, s.heads);
        self.matrix(Role::OutputA, (ranks, group), DENSE);
        self.matrix(Role::OutputB, (s.hidden, ranks), DENSE);
    }

    /// One row of the position table is read a token: row p mod ratio.
    fn compressor(&mut self, s: &Shape, ratio: usize) {
        let width = s.head_dim.saturating_mul(if ratio == 4 { 2 } else { 1 });
        self.matrix(Role::CompressorKv, (width, s.hidden), PLAIN);
        self.matrix(Role::CompressorGate, (width, s.hidden), PLAIN);
        self.matrix(Role::CompressorApe, (ratio, width), PLAIN).touched = Touched::Rows(1);
        self.vector(Role::CompressorNorm, s.head_dim);
    }

    fn indexer(&mut self, s: &Shape) {
        let queries = s.index_heads.saturating_mul(s.index_dim);
        let width = s.index_dim.saturating_mul(2);
        let beyond = Touched::OnlyBeyond(s.index_top_k.saturating_mul(4));
        self.matrix(Role::IndexQuery, (queries, s.q_rank), INDEX).touched = beyond;
        self.matrix(Role::IndexWeights, (s.index_heads, s.hidden), PLAIN).touched = beyond;
        self.matrix(Role::IndexCompressorKv, (width, s.hidden), PLAIN);
        self.matrix(Role::IndexCompressorGate, (width, s.hidden), PLAIN);
        self.matrix(Role::IndexCompressorApe, (4, width), PLAIN).touched = Touched::Rows(1);
        self.vector(Role::IndexCompressorNorm, s.index_dim);
    }

    fn experts(&mut self, s: &Shape, hash_routed: bool) {
        let roles = [Role::FfnHyperFn, Role::FfnHyperBase, Role::FfnHyperScale];
        self.hyper_connection(s, roles);
        self.vector(Role::FfnNorm, s.hidden);
        self.matrix(Role::Router, (s.experts, s.hidden), PLAIN);
        if hash_routed {
            let kind = WeightKind::Table { rows: s.vocab, width: s.experts_used };
            self.add(Role::HashExperts, kind, IDS).touched = Touched::Rows(1);
        } else {
            self.vector(Role::RouterBias, s.experts).optional = true;
        }
        let routed = |rows, width| WeightKind::Experts { experts: s.experts, rows, width };
        for (role, rows, width) in [
            (Role::ExpertGate, s.ffn, s.hidden),
            (Role::ExpertUp, s.ffn, s.hidden),
            (Role::ExpertDown, s.hidden, s.ffn),
        ] {
            self.add(role, routed(rows, width), EXPERT).touched = Touched::Experts(s.experts_used);
        }
        self.matrix(Role::SharedGate, (s.ffn, s.hidden), DENSE);
        self.matrix(Role::SharedUp, (s.ffn, s.hidden), DENSE);
        self.matrix(Role::SharedDown, (s.hidden, s.ffn), DENSE);
    }
}
