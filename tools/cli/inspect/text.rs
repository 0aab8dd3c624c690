//! The report for people.

use std::fmt::Write;

use ds4_model::shape::Shape;
use ds4_model::shape::fields::FIELDS;

use super::report::{CacheBytes, ModelReport, OTHER_BYTES, Report};

/// Memory bandwidths for which a bound of the speed is given, in GB/s, with machines that have
/// them.
const BANDWIDTHS: [(u64, &str); 4] =
    [(273, "M4 Pro, DGX Spark"), (400, "M2 Max"), (800, "M2 Ultra"), (4800, "H200")];

/// The whole report; writing to a string cannot fail, so results are dropped.
pub fn print(report: &Report<'_>) -> String {
    let mut out = String::new();
    head(&mut out, report);
    if let Some(model) = &report.model {
        shape(&mut out, &model.shape);
    }
    types(&mut out, report);
    if let Some(model) = &report.model {
        memory(&mut out, model);
        speed(&mut out, model);
    }
    tokenizer(&mut out, report);
    list(&mut out, "Notes", &report.notes);
    list(&mut out, "Problems", &report.problems);
    if report.problems.is_empty() {
        let _ = writeln!(out, "\nNothing is wrong with the directory. The weights were not read.");
    }
    out
}

fn head(out: &mut String, report: &Report<'_>) {
    for part in report.parts {
        let _ = writeln!(out, "{}, {} bytes", part.path.display(), grouped(part.bytes));
    }
    if let Some(name) = &report.name {
        // From the file: printed without control characters.
        let _ = writeln!(out, "  named   {}", name.escape_debug());
    }
    if let Some(model) = &report.model {
        let billions = model.parameters as f64 / 1e9;
        let _ = writeln!(out, "  model   {}", model.family);
        let _ = match billions >= 1.0 {
            true => writeln!(out, "  size    {billions:.1} billion parameters"),
            false => writeln!(out, "  size    {} parameters", grouped(model.parameters)),
        };
    }
}

fn shape(out: &mut String, shape: &Shape) {
    let _ = writeln!(out, "\nHyper-parameters");
    let mut row = |about: &str, value: &str| {
        let _ = writeln!(out, "  {about:<28} {value:>10}");
    };
    for field in FIELDS {
        row(field.about, &shape.value_text(field));
    }
    for ratio in [0, 4, 128] {
        let layers = shape.ratios.iter().filter(|&&r| r == ratio).count();
        row(&format!("layers of compress ratio {ratio}"), &layers.to_string());
    }
    row("SwiGLU clamp", &runs(&shape.swiglu_clamp));
}

/// Equal neighbours as one: `10`, or `off x3, 10 x40`.
fn runs(values: &[f32]) -> String {
    let text = |value: f32| if value.is_finite() { value.to_string() } else { "off".to_owned() };
    let mut chunks = values.chunk_by(|a, b| a == b);
    match (chunks.next(), chunks.next()) {
        (Some(all), None) => text(all[0]),
        _ => {
            let run = |run: &[f32]| format!("{} x{}", text(run[0]), run.len());
            values.chunk_by(|a, b| a == b).map(run).collect::<Vec<_>>().join(", ")
        }
    }
}

fn types(out: &mut String, report: &Report<'_>) {
    let _ = writeln!(out, "\n{:<10} {:>8} {:>20}", "Tensors", "number", "bytes");
    let mut row = |name: &str, tensors: usize, bytes: u64| {
        let _ = writeln!(out, "  {name:<8} {tensors:>8} {:>20}", grouped(bytes));
    };
    for sum in &report.types {
        row(sum.quant.name(), sum.tensors, sum.bytes);
    }
    row("total", report.tensors(), report.tensor_bytes());
}

fn memory(out: &mut String, model: &ModelReport) {
    let _ = writeln!(out, "\nMemory");
    match model.device_bytes {
        Some(bytes) => {
            let _ =
                writeln!(out, "  weights on a device {} bytes ({})", grouped(bytes), size(bytes));
        }
        None => {
            let _ = writeln!(out, "  weights on a device: unknown, see the problems below");
        }
    }
    let other = size(OTHER_BYTES);
    let _ =
        writeln!(out, "  everything else     at most {other}, and for each sequence its cache:\n");
    let _ = writeln!(
        out,
        "  {:>9} {:>14} {:>16} {:>14} {:>16} {:>12}",
        "context", "packed rows", "as laid out", "exact rows", "as laid out", "in all"
    );
    for cost in &model.contexts {
        let rows = |cache: Option<&CacheBytes>| {
            cache.map_or(["-".to_owned(), "-".to_owned()], |cache| {
                [mib(cache.information), mib(cache.laid_out)]
            })
        };
        let [packed, packed_laid_out] = rows(cost.packed.as_ref());
        let [exact, exact_laid_out] = rows(Some(&cost.exact));
        let cache = cost.packed.as_ref().unwrap_or(&cost.exact).laid_out;
        let all = model.device_bytes.map_or("-".to_owned(), |w| size(w + cache + OTHER_BYTES));
        let _ = writeln!(
            out,
            "  {:>9} {packed:>14} {packed_laid_out:>16} {exact:>14} {exact_laid_out:>16} {all:>12}",
            grouped(cost.tokens as u64),
        );
    }
}

fn speed(out: &mut String, model: &ModelReport) {
    let [near, far] = model.read_per_token;
    let _ = writeln!(out, "\nWeights read to decode one token");
    match model.indexer_tokens {
        Some(tokens) => {
            let tokens = grouped(tokens as u64);
            let _ = writeln!(
                out,
                "  up to {tokens:>9} tokens {:>16} bytes ({})",
                grouped(near),
                size(near)
            );
            let _ = writeln!(
                out,
                "  beyond {tokens:>8} tokens {:>16} bytes ({})",
                grouped(far),
                size(far)
            );
        }
        None => {
            let _ = writeln!(out, "  {} bytes ({})", grouped(far), size(far));
        }
    }
    let _ = writeln!(
        out,
        "\nSpeed: memory bandwidth divided by the bytes read for a token is an upper bound of the\n\
         tokens/s of one sequence. Real speeds are lower.\n"
    );
    let _ = write!(out, "  {:>9} {:>11} {:>11}", "context", "weights", "cache");
    for (bandwidth, _) in BANDWIDTHS {
        let _ = write!(out, " {:>10}", format!("{bandwidth} GB/s"));
    }
    let _ = writeln!(out);
    for cost in &model.contexts {
        let (weights, cache) = (size(cost.weights_read), size(cost.cache_read));
        let tokens = grouped(cost.tokens as u64);
        let _ = write!(out, "  {tokens:>9} {weights:>11} {cache:>11}");
        for (bandwidth, _) in BANDWIDTHS {
            let read = (cost.weights_read + cost.cache_read).max(1) as f64;
            let _ = write!(out, " {:>10}", significant(bandwidth as f64 * 1e9 / read));
        }
        let _ = writeln!(out);
    }
    let machines: Vec<String> =
        BANDWIDTHS.iter().map(|(bandwidth, machine)| format!("{bandwidth}: {machine}")).collect();
    let _ = writeln!(out, "  GB/s of {}", machines.join("; "));
}

fn tokenizer(out: &mut String, report: &Report<'_>) {
    let Some(summary) = &report.tokenizer else { return };
    let (tokens, merges) = (grouped(summary.tokens as u64), grouped(summary.merges as u64));
    let kind = summary.kind.escape_debug();
    let _ = writeln!(out, "\nTokenizer\n  {kind}: {tokens} tokens, {merges} merges");
    for (text, id) in &summary.specials {
        let _ = writeln!(out, "  {id:>7} {text}");
    }
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}");
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
}

/// `86714775900` as `86,714,775,900`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In the largest unit of which there is one: `9.556 GB`, `24.1 MB`.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes @ 1e9.. => format!("{:.3} GB", bytes / 1e9),
        bytes @ 1e6.. => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.1} kB", bytes / 1e3),
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Three digits: `4.27`, `42.7`, `427`, `4270`.
fn significant(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let all = [0, 12, 999, 1000, 1_048_576, 86_714_775_900].map(grouped);
        assert_eq!(all, ["0", "12", "999", "1,000", "1,048,576", "86,714,775,900"]);
    }

    #[test]
    fn sizes_have_the_unit_that_suits_them() {
        let all = [0, 999_999, 24_123_456, 9_556_356_004].map(size);
        assert_eq!(all, ["0.0 kB", "1000.0 kB", "24.1 MB", "9.556 GB"]);
    }

    #[test]
    fn equal_clamps_are_one() {
        assert_eq!(runs(&[10.0; 4]), "10");
        assert_eq!(runs(&[f32::INFINITY, 10.0, 10.0]), "off x1, 10 x2");
        assert_eq!(runs(&[]), "");
    }
}
