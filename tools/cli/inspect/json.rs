//! The report for machines. Sizes are in bytes.

use ds4_model::shape::fields::{FIELDS, Kind};
use serde_json::{Map, Value, json};

use super::report::{CacheBytes, ContextCost, ModelReport, OTHER_BYTES, Report};

/// One JSON object and a line end.
pub fn print(report: &Report<'_>) -> String {
    let file = |part: &super::files::Part| json!({"path": part.path, "bytes": part.bytes});
    let types: Map<String, Value> = report
        .types
        .iter()
        .map(|sum| {
            (sum.quant.name().to_owned(), json!({"tensors": sum.tensors, "bytes": sum.bytes}))
        })
        .collect();
    let tokenizer = report.tokenizer.as_ref().map(|summary| {
        let specials: Map<String, Value> =
            summary.specials.iter().map(|&(text, id)| (text.to_owned(), json!(id))).collect();
        json!({
            "kind": summary.kind,
            "tokens": summary.tokens,
            "merges": summary.merges,
            "special_tokens": specials,
        })
    });
    let object = json!({
        "files": report.parts.iter().map(file).collect::<Vec<_>>(),
        "name": report.name,
        "tensors": report.tensors(),
        "tensor_bytes": report.tensor_bytes(),
        "types": types,
        "model": report.model.as_ref().map(model),
        "tokenizer": tokenizer,
        "notes": report.notes,
        "problems": report.problems,
    });
    format!("{object:#}\n")
}

fn model(model: &ModelReport) -> Value {
    let shape = &model.shape;
    let mut parameters: Map<String, Value> = FIELDS
        .iter()
        .map(|field| {
            let value = match field.kind {
                Kind::Count { get, .. } => json!(get(shape)),
                Kind::Real { get, .. } => json!(get(shape)),
            };
            (field.name.to_owned(), value)
        })
        .collect();
    parameters.insert("ratios".to_owned(), json!(shape.ratios));
    // JSON has no infinity: a clamp that is off is null.
    parameters.insert("swiglu_clamp".to_owned(), json!(shape.swiglu_clamp));
    let [near, far] = model.read_per_token;
    json!({
        "family": model.family.to_string(),
        "parameters": model.parameters,
        "shape": parameters,
        "device_bytes": model.device_bytes,
        "other_bytes_max": OTHER_BYTES,
        "weight_bytes_per_token": {"before_indexer": near, "beyond_indexer": far},
        "indexer_tokens": model.indexer_tokens,
        "contexts": model.contexts.iter().map(context).collect::<Vec<_>>(),
    })
}

fn context(cost: &ContextCost) -> Value {
    let cache =
        |rows: &CacheBytes| json!({"information_bytes": rows.information, "bytes": rows.laid_out});
    json!({
        "tokens": cost.tokens,
        "packed": cost.packed.as_ref().map(cache),
        "exact": cache(&cost.exact),
        "weight_bytes_per_token": cost.weights_read,
        "cache_bytes_per_token": cost.cache_read,
    })
}
