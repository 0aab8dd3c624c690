//! What is said about an answer when it has ended.

use std::fmt::Write;

use ds4_runtime::answer::{Answer, Stop};
use ds4_runtime::engine::Engine;
use ds4_runtime::sampling::SamplingOptions;
use serde_json::{Value, json};

/// The summary: one line.
pub fn line(
    engine: &Engine,
    answer: &Answer,
    prompt_tokens: usize,
    sampling: &SamplingOptions,
) -> String {
    let metrics = &answer.metrics;
    let mut line = String::new();
    if answer.stop == Stop::Cancelled {
        line.push_str("interrupted: ");
    }
    let _ = write!(line, "{prompt_tokens} prompt tokens");
    if metrics.generated == 0 {
        let done = answer.reuse.reused + metrics.prefilled;
        let _ = write!(line, " ({} of them begun), none generated", done.min(prompt_tokens));
    } else {
        let ms = metrics.prefill.as_secs_f64() * 1e3;
        let rate = metrics.prefill_rate();
        let _ =
            write!(line, " in {ms:.0} ms ({rate:.1} tokens/s), {} generated", metrics.generated);
    }
    if answer.reasoning_tokens > 0 {
        let _ = write!(line, " ({} of reasoning)", answer.reasoning_tokens);
    }
    if metrics.generated > 1 {
        let (rate, bandwidth) = (metrics.decode_rate(), metrics.decode_bandwidth());
        let _ = write!(line, ", {rate:.1} tokens/s, {:.3} ms/token", 1e3 / rate);
        if bandwidth > 0.0 {
            let _ = write!(line, ", {:.2} GB/s", bandwidth / 1e9);
        }
    }
    let _ = write!(line, ", {}", reason(answer.stop));
    if sampling.temperature > 0.0 {
        let _ = write!(line, ", seed {}", sampling.seed);
    }
    if let Some(hash) = metrics.logits_hash {
        let _ = write!(line, ", logits hash {hash:016x}");
    }
    let _ = write!(line, ", {}", engine.device());
    line
}

fn reason(stop: Stop) -> &'static str {
    match stop {
        Stop::EndOfTurn => "end of turn",
        Stop::StopString(_) => "stop string",
        Stop::ToolCalls => "tool call",
        Stop::Limit => "token limit (-n)",
        Stop::Context => "context full (-c)",
        Stop::Cancelled => "Ctrl-C",
        Stop::Abandoned => "output closed",
    }
}

/// The object that `--json` prints.
pub fn object(
    engine: &Engine,
    answer: &Answer,
    prompt_tokens: usize,
    sampling: &SamplingOptions,
) -> Value {
    let metrics = &answer.metrics;
    let calls: Vec<Value> = answer
        .turn
        .calls
        .iter()
        .map(|call| json!({ "name": call.name, "arguments": call.arguments }))
        .collect();
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let finite = |value: f64| if value.is_finite() { json!(value) } else { Value::Null };
    json!({
        "model": engine.model.path.display().to_string(),
        "text": answer.turn.content,
        "reasoning": answer.turn.reasoning,
        "tool_calls": calls,
        "finish_reason": answer.stop.finish_reason(),
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": answer.tokens.len(),
            "reasoning_tokens": answer.reasoning_tokens,
            "total_tokens": prompt_tokens + answer.tokens.len(),
        },
        "timings": {
            "time_to_first_token_ms": ms(metrics.prefill),
            "prompt_tokens_per_second": finite(metrics.prefill_rate()),
            "decode_ms": ms(metrics.decode),
            "tokens_per_second": finite(metrics.decode_rate()),
            "decode_bytes": metrics.decode_bytes,
            "decode_bytes_per_second": finite(metrics.decode_bandwidth()),
        },
        "sampling": {
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "seed": sampling.seed,
        },
        "logits_hash": metrics.logits_hash.map(|hash| format!("{hash:016x}")),
        "context": engine.options.context,
        "device": engine.device(),
    })
}
