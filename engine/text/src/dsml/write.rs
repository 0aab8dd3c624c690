//! Calls to DSML, in the official form.

use super::escape::{CLOSE_IN_JSON, escape_attribute, escape_attribute_ds4, escape_value};
use crate::chat::prompts::{
    CALLS_CLOSE, CALLS_OPEN, INVOKE_CLOSE, INVOKE_NAMED, INVOKE_OPEN, PARAMETER_CLOSE,
    PARAMETER_JSON, PARAMETER_OPEN, PARAMETER_STRING, SEPARATOR,
};
use crate::chat::{Prompt, Style, ToolCall};
use crate::json::{self, Value};

/// Name of the one parameter that holds arguments which are not a JSON object.
const WHOLE: &str = "arguments";

/// Appends a block of calls with the empty line before it; nothing if there are no calls.
///
/// Arguments are written as one parameter for each member: strings as they are, other values as
/// JSON. Arguments that are not a JSON object become one parameter that holds their text.
pub fn write_calls(calls: &[ToolCall], style: Style, out: &mut Prompt) {
    if calls.is_empty() {
        return;
    }
    out.text(SEPARATOR);
    out.template(CALLS_OPEN);
    for call in calls {
        out.template(INVOKE_OPEN);
        out.text(&attribute(&call.name, style));
        out.template(INVOKE_NAMED);
        match json::parse(&call.arguments) {
            Ok(Value::Object(members)) => {
                for (key, value) in members.iter() {
                    parameter(key, value, style, out);
                }
                if members.is_empty() && style == Style::Official {
                    out.text("\n");
                }
            }
            _ => parameter(WHOLE, &Value::String(call.arguments.clone()), style, out),
        }
        out.template(INVOKE_CLOSE);
    }
    out.template(CALLS_CLOSE);
}

fn parameter(key: &str, value: &Value, style: Style, out: &mut Prompt) {
    out.template(PARAMETER_OPEN);
    out.text(&attribute(key, style));
    match value {
        Value::String(text) => {
            out.template(PARAMETER_STRING);
            out.text(&escape_value(text));
        }
        other => {
            out.template(PARAMETER_JSON);
            out.text(&json::dumps(other).replace(PARAMETER_CLOSE, CLOSE_IN_JSON));
        }
    }
    out.template(PARAMETER_CLOSE);
    out.text("\n");
}

fn attribute(name: &str, style: Style) -> String {
    match style {
        Style::Official => escape_attribute(name),
        Style::Ds4 => escape_attribute_ds4(name),
    }
}
