//! JSON as Python's `json` module reads and writes it.
//!
//! Tool schemas, response formats and call arguments enter a prompt as
//! `json.dumps(json.loads(text), ensure_ascii=False)` prints them (spec/chat.md 5), so the model
//! sees one spelling of a value whatever the client sent. What that takes, and why no general
//! JSON library is used:
//!
//! * integers of any size stay exact, all other numbers become Python's shortest float text;
//! * a repeated key keeps its first place and its last value;
//! * `NaN`, `Infinity` and `-Infinity` are numbers;
//! * no key has a special meaning (libraries that keep number texts reserve one).

mod read;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

pub use read::{JsonError, parse, parse_prefix};
pub(crate) use write::push_escaped;
pub use write::{dumps, float_text, string_text};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction and exponent: its digits, with a `-` if negative and not zero.
    Int(Box<str>),
    /// Any other number, `NaN` and the infinities included.
    Float(f64),
    /// A string, escapes resolved.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object; see [`Object`].
    Object(Object),
}

impl Value {
    /// The member `key` of an object; `None` for a missing key and for any other kind of value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Value::Array(values) = self { Some(values) } else { None }
    }

    /// The object, if this is one.
    pub fn as_object(&self) -> Option<&Object> {
        if let Value::Object(object) = self { Some(object) } else { None }
    }

    /// The number as an index or id, if it is a small non-negative integer.
    pub fn as_u32(&self) -> Option<u32> {
        if let Value::Int(digits) = self { digits.parse().ok() } else { None }
    }

    /// What the value is, for messages: "an object", "null" ...
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// Equality of meaning: like `==`, but the order of an object's keys does not count and an
    /// integer equals a float of the same value. Clients that decode and encode arguments change
    /// both.
    pub fn same_meaning(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_meaning(b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| a.same_meaning(b)))
            }
            (Value::Int(digits), Value::Float(number))
            | (Value::Float(number), Value::Int(digits)) => {
                digits.parse::<f64>().is_ok_and(|digits| digits == *number)
            }
            _ => self == other,
        }
    }
}

/// The members of an object in the order of their first appearance, without repeated keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    members: Vec<(String, Value)>,
}

impl Object {
    /// The value of `key`. Looks through the members in order: objects here are small.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.members.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl FromIterator<(String, Value)> for Object {
    /// Collects members; a repeated key keeps its first place and its last value.
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        let members: Vec<(String, Value)> = members.into_iter().collect();
        let mut seen = HashSet::with_capacity(members.len());
        if members.iter().all(|(key, _)| seen.insert(key.as_str())) {
            return Object { members };
        }
        let mut places = HashMap::new();
        let mut kept: Vec<(String, Value)> = Vec::new();
        for (key, value) in members {
            let place = *places.entry(key.clone()).or_insert(kept.len());
            match kept.get_mut(place) {
                Some((_, old)) => *old = value,
                None => kept.push((key, value)),
            }
        }
        Object { members: kept }
    }
}
