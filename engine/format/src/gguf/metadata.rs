//! The key-value part of a file and its typed getters.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

use super::{Array, GgufError, GgufErrorKind, StringArray, Subject, Value};

/// Metadata in file order. The getters accept every number type whose value fits, never
/// reinterpret, and name the key and both types where they refuse.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<Entry>,
    /// Indices of `entries` in the order of their keys.
    by_key: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Value,
    /// Offset of the entry in the file; `None` for one made by a program.
    pub(super) offset: Option<u64>,
}

impl Metadata {
    /// Metadata made by a program, in this order.
    ///
    /// # Errors
    /// If a key occurs twice.
    pub fn new(entries: impl IntoIterator<Item = (String, Value)>) -> Result<Self, GgufError> {
        let entry = |(key, value)| Entry { key, value, offset: None };
        Self::index(entries.into_iter().map(entry).collect())
    }

    /// Sorts the keys and refuses duplicates.
    pub(super) fn index(entries: Vec<Entry>) -> Result<Self, GgufError> {
        let mut by_key: Vec<u32> = (0..).take(entries.len()).collect();
        let at = |index: u32| usize::try_from(index).ok().and_then(|index| entries.get(index));
        by_key.sort_unstable_by_key(|&index| (at(index).map(|entry| entry.key.as_str()), index));
        for (first, second) in by_key.iter().zip(by_key.iter().skip(1)) {
            let (Some(first), Some(second)) = (at(*first), at(*second)) else { continue };
            if first.key == second.key {
                let detail = match first.offset {
                    Some(offset) => format!("the key stands at byte {offset} already"),
                    None => "the key is given twice".to_owned(),
                };
                let subject = Subject::Key(second.key.clone());
                let kind = GgufErrorKind::DuplicateKey;
                return Err(GgufError::new(kind, subject, second.offset, detail));
            }
        }
        Ok(Self { entries, by_key })
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All keys and values in file order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|entry| (entry.key.as_str(), &entry.value))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key, whatever its type.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.find(key).map(|entry| &entry.value)
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &str) -> Option<&Entry> {
        let at =
            |index: &u32| usize::try_from(*index).ok().and_then(|index| self.entries.get(index));
        let order = |index: &u32| at(index).map(|entry| entry.key.as_str());
        let place = self.by_key.binary_search_by_key(&Some(key), order).ok()?;
        self.by_key.get(place).and_then(at)
    }

    fn entry(&self, key: &str, needed: &str) -> Result<&Entry, GgufError> {
        self.find(key).ok_or_else(|| {
            let detail = format!("the key is missing; a value of type {needed} is needed");
            GgufError::new(GgufErrorKind::MissingKey, Subject::Key(key.to_owned()), None, detail)
        })
    }

    /// A non-negative integer of any stored type.
    ///
    /// # Errors
    /// Missing key, another type, or a negative number.
    pub fn u64(&self, key: &str) -> Result<u64, GgufError> {
        self.integer(key, "u64")
    }

    /// As [`Metadata::u64`], at most `u32::MAX`.
    ///
    /// # Errors
    /// Missing key, another type, or a number out of range.
    pub fn u32(&self, key: &str) -> Result<u32, GgufError> {
        self.integer(key, "u32")
    }

    /// A float of either size; f64 is rounded.
    ///
    /// # Errors
    /// Missing key or another type.
    #[allow(clippy::as_conversions, reason = "f64 to f32 rounds, which is meant")]
    pub fn f32(&self, key: &str) -> Result<f32, GgufError> {
        let entry = self.entry(key, "f32")?;
        match entry.value {
            Value::F32(value) => Ok(value),
            Value::F64(value) => Ok(value as f32),
            _ => Err(entry.wrong_type("f32")),
        }
    }

    /// A truth value.
    ///
    /// # Errors
    /// Missing key or another type.
    pub fn bool(&self, key: &str) -> Result<bool, GgufError> {
        let entry = self.entry(key, "bool")?;
        match entry.value {
            Value::Bool(value) => Ok(value),
            _ => Err(entry.wrong_type("bool")),
        }
    }

    /// A string.
    ///
    /// # Errors
    /// Missing key or another type.
    pub fn str(&self, key: &str) -> Result<&str, GgufError> {
        let entry = self.entry(key, "string")?;
        match &entry.value {
            Value::String(value) => Ok(value),
            _ => Err(entry.wrong_type("string")),
        }
    }

    /// An array of strings.
    ///
    /// # Errors
    /// Missing key or another type.
    pub fn array_str(&self, key: &str) -> Result<&StringArray, GgufError> {
        let entry = self.entry(key, "array of string")?;
        match &entry.value {
            Value::Array(Array::String(values)) => Ok(values),
            _ => Err(entry.wrong_type("array of string")),
        }
    }

    /// An array of floats of either size; f64 is rounded.
    ///
    /// # Errors
    /// Missing key or another type.
    #[allow(clippy::as_conversions, reason = "f64 to f32 rounds, which is meant")]
    pub fn array_f32(&self, key: &str) -> Result<Vec<f32>, GgufError> {
        let entry = self.entry(key, "array of f32")?;
        match &entry.value {
            Value::Array(Array::F32(values)) => Ok(values.clone()),
            Value::Array(Array::F64(values)) => {
                Ok(values.iter().map(|&value| value as f32).collect())
            }
            _ => Err(entry.wrong_type("array of f32")),
        }
    }

    /// An array of non-negative integers of any stored type.
    ///
    /// # Errors
    /// Missing key, another type, or a number out of range.
    pub fn array_u32(&self, key: &str) -> Result<Vec<u32>, GgufError> {
        self.integers(key, "u32")
    }

    /// An array of integers of any stored type.
    ///
    /// # Errors
    /// Missing key, another type, or a number out of range.
    pub fn array_i32(&self, key: &str) -> Result<Vec<i32>, GgufError> {
        self.integers(key, "i32")
    }

    fn integer<T: TryFrom<i128>>(&self, key: &str, needed: &str) -> Result<T, GgufError> {
        let entry = self.entry(key, needed)?;
        let value = match entry.value {
            Value::U8(value) => i128::from(value),
            Value::I8(value) => i128::from(value),
            Value::U16(value) => i128::from(value),
            Value::I16(value) => i128::from(value),
            Value::U32(value) => i128::from(value),
            Value::I32(value) => i128::from(value),
            Value::U64(value) => i128::from(value),
            Value::I64(value) => i128::from(value),
            _ => return Err(entry.wrong_type(needed)),
        };
        T::try_from(value).map_err(|_| entry.out_of_range(value, needed))
    }

    fn integers<T: TryFrom<i128>>(&self, key: &str, needed: &str) -> Result<Vec<T>, GgufError> {
        let array = format!("array of {needed}");
        let entry = self.entry(key, &array)?;
        match &entry.value {
            Value::Array(Array::U8(values)) => entry.convert(values, needed),
            Value::Array(Array::I8(values)) => entry.convert(values, needed),
            Value::Array(Array::U16(values)) => entry.convert(values, needed),
            Value::Array(Array::I16(values)) => entry.convert(values, needed),
            Value::Array(Array::U32(values)) => entry.convert(values, needed),
            Value::Array(Array::I32(values)) => entry.convert(values, needed),
            Value::Array(Array::U64(values)) => entry.convert(values, needed),
            Value::Array(Array::I64(values)) => entry.convert(values, needed),
            _ => Err(entry.wrong_type(&array)),
        }
    }
}

impl Entry {
    fn convert<S: Copy + Into<i128>, T: TryFrom<i128>>(
        &self,
        values: &[S],
        needed: &str,
    ) -> Result<Vec<T>, GgufError> {
        let number = |&value: &S| {
            let value = value.into();
            T::try_from(value).map_err(|_| self.out_of_range(value, needed))
        };
        values.iter().map(number).collect()
    }

    fn wrong_type(&self, needed: &str) -> GgufError {
        let detail = format!("the value has type {}; {needed} is needed", self.value.type_name());
        self.fault(GgufErrorKind::WrongType, detail)
    }

    fn out_of_range(&self, value: i128, needed: &str) -> GgufError {
        let stored = self.value.type_name();
        let detail = format!("the value {value} (stored as {stored}) does not fit {needed}");
        self.fault(GgufErrorKind::ValueRange, detail)
    }

    pub(super) fn fault(&self, kind: GgufErrorKind, detail: String) -> GgufError {
        GgufError::new(kind, Subject::Key(self.key.clone()), self.offset, detail)
    }
}
