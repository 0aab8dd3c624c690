//! The report as data: everything that `ds4 inspect` prints, in either form.

use std::collections::BTreeMap;

use ds4_format::quant::Quant;
use ds4_model::inventory::bind::{BindProblem, Binding, survey_parts};
use ds4_model::kv::{KvLayout, RowFormat};
use ds4_model::placement::place;
use ds4_model::shape::{Family, Shape};

use super::files::{Model, Part};
use super::tokenizer::{self, TokenizerSummary};

/// Memory a run takes besides weights and cache: the bound of design.md 5.
pub const OTHER_BYTES: u64 = 1_500_000_000;

/// Tensors of one type.
pub struct TypeSum {
    /// The type.
    pub quant: Quant,
    /// How many tensors.
    pub tensors: usize,
    /// Their bytes in the file.
    pub bytes: u64,
}

/// What one sequence of a given length costs.
pub struct ContextCost {
    /// Tokens.
    pub tokens: usize,
    /// Bytes of the cache; `None` where the shape has no packed rows.
    pub packed: Option<CacheBytes>,
    /// Bytes of the cache in f32.
    pub exact: CacheBytes,
    /// Bytes of weights read to decode the next token.
    pub weights_read: u64,
    /// Bytes of cached rows read to decode the next token, in the default format.
    pub cache_read: u64,
}

/// Bytes of a cache.
pub struct CacheBytes {
    /// The rows alone (spec/model.md 9.3).
    pub information: u64,
    /// As laid out: whole pages, padding, compressor sums.
    pub laid_out: u64,
}

/// What is known once the hyper-parameters are.
pub struct ModelReport {
    /// Hyper-parameters.
    pub shape: Shape,
    /// Which model it is.
    pub family: Family,
    /// Parameters of the model.
    pub parameters: u64,
    /// Weights on a device; `None` if tensors are missing or wrong.
    pub device_bytes: Option<u64>,
    /// Bytes read to decode a token, up to the point where the indexer starts and beyond.
    pub read_per_token: [u64; 2],
    /// That point, in tokens; `None` without ratio-4 layers.
    pub indexer_tokens: Option<usize>,
    /// Memory and reading for some contexts.
    pub contexts: Vec<ContextCost>,
}

/// Everything there is to tell about a model.
pub struct Report<'a> {
    /// Its files.
    pub parts: &'a [Part],
    /// `general.name`.
    pub name: Option<String>,
    /// Tensor types, in the order of [`Quant::ALL`].
    pub types: Vec<TypeSum>,
    /// Shape and cost.
    pub model: Option<ModelReport>,
    /// Tokenizer.
    pub tokenizer: Option<TokenizerSummary>,
    /// Remarks: nothing is wrong, but worth knowing.
    pub notes: Vec<String>,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl<'a> Report<'a> {
    /// Examines a model.
    pub fn new(model: &'a Model, contexts: &[usize]) -> Self {
        let mut report = Self {
            parts: &model.parts,
            name: model.metadata.str("general.name").ok().map(str::to_owned),
            types: type_sums(&model.parts),
            model: None,
            tokenizer: None,
            notes: Vec::new(),
            problems: model.problems.clone(),
        };
        if model.parts.is_empty() {
            return report;
        }
        let shape = match Shape::from_metadata(&model.metadata) {
            Ok(shape) => Some(shape),
            Err(error) => {
                report.problems.extend(error.problems.iter().map(ToString::to_string));
                None
            }
        };
        report.add_tokenizer(model, shape.as_ref());
        if let Some(shape) = shape {
            report.add_model(model, shape, contexts);
        }
        report
    }

    /// Bytes of all tensors in the files.
    pub fn tensor_bytes(&self) -> u64 {
        self.types.iter().map(|sum| sum.bytes).sum()
    }

    /// Tensors in the files.
    pub fn tensors(&self) -> usize {
        self.types.iter().map(|sum| sum.tensors).sum()
    }

    fn add_tokenizer(&mut self, model: &Model, shape: Option<&Shape>) {
        match tokenizer::summary(&model.metadata, shape.map(|shape| shape.vocab)) {
            Some(Ok(summary)) => {
                if !summary.missing.is_empty() {
                    let missing = summary.missing.join(" ");
                    self.notes.push(format!("no chat is possible: the vocabulary lacks {missing}"));
                }
                self.tokenizer = Some(summary);
            }
            Some(Err(problem)) => self.problems.push(problem),
            None => self.notes.push("no tokenizer: only token ids can be run".to_owned()),
        }
    }

    fn add_model(&mut self, model: &Model, shape: Shape, contexts: &[usize]) {
        let parts = model.parts.iter().map(|part| &part.gguf);
        let (binding, problems) = survey_parts(&shape, &model.metadata, parts);
        let sound = problems.is_empty() && !model.incomplete;
        self.report_tensors(&binding, problems, model.incomplete);
        let device_bytes = match place(&binding.stored(), u64::MAX, true) {
            Ok(placement) if sound => Some(placement.bytes()),
            _ => None,
        };
        if !shape.packed_rows_supported() {
            self.notes
                .push("the cache cannot be packed with these sizes: use --kv exact".to_owned());
        }
        let contexts = self.contexts_within(&shape, contexts);
        let indexer_tokens = shape.ratios.contains(&4).then_some(4 * shape.index_top_k);
        let inventory = ds4_model::inventory::inventory(&shape);
        let table = |spec: &&ds4_model::inventory::WeightSpec| spec.allowed != [Quant::I32];
        self.model = Some(ModelReport {
            family: shape.family(),
            parameters: inventory.iter().filter(table).map(|spec| spec.kind.elements()).sum(),
            device_bytes,
            read_per_token: [1, usize::MAX].map(|context| binding.bytes_per_token(context)),
            indexer_tokens,
            contexts: contexts.iter().map(|&n| context_cost(&shape, &binding, n)).collect(),
            shape,
        });
    }

    /// The contexts that the model can have; its longest one if it can have none of them.
    fn contexts_within(&mut self, shape: &Shape, asked: &[usize]) -> Vec<usize> {
        let within: Vec<usize> = asked.iter().copied().filter(|&n| n <= shape.context).collect();
        if within.len() < asked.len() {
            let max = shape.context;
            self.notes.push(format!("contexts above the model's {max} tokens are left out"));
        }
        if within.is_empty() { vec![shape.context] } else { within }
    }

    fn report_tensors(&mut self, binding: &Binding, problems: Vec<BindProblem>, incomplete: bool) {
        let is_missing = |problem: &&BindProblem| matches!(problem, BindProblem::Missing { .. });
        let missing = problems.iter().filter(is_missing).count();
        if incomplete && missing > 0 {
            self.notes.push(format!("{missing} tensors stand in the parts that are missing"));
        }
        let told = problems.iter().filter(|problem| !(incomplete && is_missing(problem)));
        self.problems.extend(told.map(ToString::to_string));
        if !binding.ignored().is_empty() {
            let count = binding.ignored().len();
            self.notes
                .push(format!("{count} tensors of a draft model or of no use are not loaded"));
        }
    }
}

fn type_sums(parts: &[Part]) -> Vec<TypeSum> {
    let mut sums: BTreeMap<Quant, (usize, u64)> = BTreeMap::new();
    for tensor in parts.iter().flat_map(|part| part.gguf.tensors()) {
        let sum = sums.entry(tensor.quant).or_default();
        *sum = (sum.0 + 1, sum.1.saturating_add(tensor.bytes));
    }
    let sum = |(quant, (tensors, bytes))| TypeSum { quant, tensors, bytes };
    sums.into_iter().map(sum).collect()
}

fn context_cost(shape: &Shape, binding: &Binding, tokens: usize) -> ContextCost {
    let bytes = |format| {
        KvLayout::new(shape, format, 0).ok().map(|layout| CacheBytes {
            information: layout.information_bytes(tokens) as u64,
            laid_out: layout.bytes(tokens) as u64,
        })
    };
    let packed = bytes(RowFormat::Packed);
    let format = if packed.is_some() { RowFormat::Packed } else { RowFormat::Exact };
    let cache_read =
        KvLayout::new(shape, format, 0).map_or(0, |layout| rows_read(shape, &layout, tokens));
    ContextCost {
        tokens,
        packed,
        // Exact rows exist for every shape.
        exact: bytes(RowFormat::Exact).unwrap_or(CacheBytes { information: 0, laid_out: 0 }),
        weights_read: binding.bytes_per_token(tokens),
        cache_read,
    }
}

/// Bytes of cached rows that token number `tokens` of a sequence reads (spec/model.md 3.4): the
/// window, the compressed rows it attends to, and the indexer keys it chooses those by.
fn rows_read(shape: &Shape, layout: &KvLayout, tokens: usize) -> u64 {
    let layer = |layer: &ds4_model::kv::LayerKv| {
        let visible = layer.visible(tokens.saturating_sub(1));
        let scored = layer.index.as_ref().filter(|_| visible > shape.index_top_k);
        let attended = if scored.is_some() { shape.index_top_k } else { visible };
        let rows = attended + tokens.min(layout.window);
        rows * layer.attention.row_bytes() + scored.map_or(0, |index| visible * index.row_bytes())
    };
    layout.layers.iter().map(layer).sum::<usize>() as u64
}
