//! Every text that this engine itself puts into a prompt. The trainer of the embedded model reads
//! them too (`ds4 tokenize --export-prompts`), so the model has seen exactly what it will be shown.
//!
//! Control tokens are written as their literals here; [`Prompt::template`](super::Prompt::template)
//! turns them into tokens. Origin: spec/chat.md 2, 4, 5, 7; the `DS4` texts are those of the
//! reference engine's server.

use crate::json::string_text;
use crate::special::Special;

/// Asks for much reasoning: effort `max` of the first checkpoints, `high` of later ones.
pub const EFFORT_THOROUGH: &str = "\
Reasoning Effort: Absolute maximum with no shortcuts permitted.
You MUST be very thorough in your thinking and comprehensively decompose the problem to resolve the root cause, rigorously stress-testing your logic against all potential paths, edge cases, and adversarial scenarios.
Explicitly write out your entire deliberation process, documenting every intermediate step, considered alternative, and rejected hypothesis to ensure absolutely no assumption is left unchecked.

";

/// Asks for the most reasoning: effort `max` of later checkpoints.
pub const EFFORT_EXHAUSTIVE: &str = "\
Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.
You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: exhaustively decompose the problem into its most fundamental components, trace every causal chain to its root, and resolve the underlying cause rather than any surface symptom.
Do not stop reasoning until you have independently verified the solution from multiple angles and are certain that no assumption remains unchecked and no error remains undiscovered.

";

/// The tools section up to the schemas, which follow one in a line.
pub const TOOLS_HEAD: &str = "\
## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by writing a \"<｜DSML｜tool_calls>\" block like the following:

<｜DSML｜tool_calls>
<｜DSML｜invoke name=\"$TOOL_NAME\">
<｜DSML｜parameter name=\"$PARAMETER_NAME\" string=\"true|false\">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name=\"$TOOL_NAME2\">
...
</｜DSML｜invoke>
</｜DSML｜tool_calls>

String parameters should be specified as is and set `string=\"true\"`. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string=\"false\"`.

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

";

/// The tools section after the schemas.
pub const TOOLS_TAIL: &str = "

You MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.
";

/// [`TOOLS_HEAD`] of the reference engine.
pub const DS4_TOOLS_HEAD: &str = "\
## Tools

You have access to a set of tools to help answer the user question. You can invoke tools by writing a \"<｜DSML｜tool_calls>\" block like the following:

<｜DSML｜tool_calls>
<｜DSML｜invoke name=\"$TOOL_NAME\">
<｜DSML｜parameter name=\"$PARAMETER_NAME\" string=\"true|false\">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name=\"$TOOL_NAME2\">
...
</｜DSML｜invoke>
</｜DSML｜tool_calls>

String parameters should be specified as raw text and set `string=\"true\"`. Preserve characters such as `>`, `&`, and `&&` exactly; never replace normal string characters with XML or HTML entity escapes. Only if a string value itself contains the exact closing parameter tag `</｜DSML｜parameter>`, write that tag as `&lt;/｜DSML｜parameter>` inside the value. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string=\"false\"`.

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

";

/// [`TOOLS_TAIL`] of the reference engine.
pub const DS4_TOOLS_TAIL: &str = "

You MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls. Use the exact parameter names from the schemas.";

/// Before the schema of a response format.
pub const RESPONSE_FORMAT: &str = "## Response Format:

You MUST strictly adhere to the following schema to reply:
";

/// Between two parts of one turn: system text, tools section, response format, user texts, results.
pub const SEPARATOR: &str = "\n\n";

/// Around the text of a tool result.
pub const RESULT_OPEN: &str = "<tool_result>";
/// Around the text of a tool result.
pub const RESULT_CLOSE: &str = "</tool_result>";
/// [`RESULT_CLOSE`] when it occurs inside a result.
pub const RESULT_CLOSE_ESCAPED: &str = "&lt;/tool_result>";

/// Stands for a part of a tool result that is not text; `TYPE` is the part's type.
pub const UNSUPPORTED_PART: &str = "[Unsupported TYPE]";

/// A block of calls: opening, `{invoke}` lines, closing. Inside [`SEPARATOR`] and end of turn.
pub const CALLS_OPEN: &str = "<｜DSML｜tool_calls>\n";
/// Ends a block of calls.
pub const CALLS_CLOSE: &str = "</｜DSML｜tool_calls>";
/// Opens a call, before its name.
pub const INVOKE_OPEN: &str = "<｜DSML｜invoke name=\"";
/// After the name of a call.
pub const INVOKE_NAMED: &str = "\">\n";
/// Ends a call.
pub const INVOKE_CLOSE: &str = "</｜DSML｜invoke>\n";
/// Opens a parameter, before its name.
pub const PARAMETER_OPEN: &str = "<｜DSML｜parameter name=\"";
/// After the name of a parameter whose value is text.
pub const PARAMETER_STRING: &str = "\" string=\"true\">";
/// After the name of a parameter whose value is JSON.
pub const PARAMETER_JSON: &str = "\" string=\"false\">";
/// Ends a parameter.
pub const PARAMETER_CLOSE: &str = "</｜DSML｜parameter>";

/// All of the above by name, for the export.
const NAMED: [(&str, &str); 21] = [
    ("effort_thorough", EFFORT_THOROUGH),
    ("effort_exhaustive", EFFORT_EXHAUSTIVE),
    ("tools_head", TOOLS_HEAD),
    ("tools_tail", TOOLS_TAIL),
    ("ds4_tools_head", DS4_TOOLS_HEAD),
    ("ds4_tools_tail", DS4_TOOLS_TAIL),
    ("response_format", RESPONSE_FORMAT),
    ("separator", SEPARATOR),
    ("result_open", RESULT_OPEN),
    ("result_close", RESULT_CLOSE),
    ("result_close_escaped", RESULT_CLOSE_ESCAPED),
    ("unsupported_part", UNSUPPORTED_PART),
    ("calls_open", CALLS_OPEN),
    ("calls_close", CALLS_CLOSE),
    ("invoke_open", INVOKE_OPEN),
    ("invoke_named", INVOKE_NAMED),
    ("invoke_close", INVOKE_CLOSE),
    ("parameter_open", PARAMETER_OPEN),
    ("parameter_string", PARAMETER_STRING),
    ("parameter_json", PARAMETER_JSON),
    ("parameter_close", PARAMETER_CLOSE),
];

/// All prompt strings and control tokens as a JSON object: `{"strings": {name: text}, "specials":
/// {name: literal}}`.
pub fn export_json() -> String {
    let object = |members: Vec<(String, &str)>| {
        let lines: Vec<String> = members
            .iter()
            .map(|(name, text)| format!("    {}: {}", string_text(name), string_text(text)))
            .collect();
        format!("{{\n{}\n  }}", lines.join(",\n"))
    };
    let strings = object(NAMED.iter().map(|(name, text)| ((*name).to_owned(), *text)).collect());
    let specials = object(
        Special::ALL.iter().map(|special| (special.name().to_owned(), special.literal())).collect(),
    );
    format!("{{\n  \"strings\": {strings},\n  \"specials\": {specials}\n}}\n")
}
