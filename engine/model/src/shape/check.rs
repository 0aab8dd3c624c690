//! `Shape::check`: ranges of single fields, then the rules between them, all problems at once.

use std::fmt;

use super::Shape;
use super::fields::{FIELDS, Field, Kind};
use super::rules::{RULES, Rule};

/// One thing wrong with the hyper-parameters of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeProblem {
    /// Name of the broken rule: one of [`RULES`], or `range`, `missing`, `type`, `fixed`,
    /// `architecture`.
    pub rule: &'static str,
    /// The keys with the values found.
    pub found: String,
    /// What must hold instead.
    pub requirement: String,
}

impl fmt::Display for ShapeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (rule {})", self.found, self.requirement, self.rule)
    }
}

/// The hyper-parameters do not describe a model that this engine can run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model's hyper-parameters are not usable:{}", listed(.problems))]
pub struct ShapeError {
    /// Everything found, in the order of the keys.
    pub problems: Vec<ShapeProblem>,
}

fn listed(problems: &[ShapeProblem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

impl Shape {
    /// Checks every field's range and every rule of [`RULES`].
    ///
    /// # Errors
    /// All problems, each with the keys, their values and the rule.
    pub fn check(&self) -> Result<(), Vec<ShapeProblem>> {
        let problems = self.problems_except(&[]);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Like `check`, leaving out whatever concerns the fields in `unread`, whose values mean
    /// nothing.
    pub(super) fn problems_except(&self, unread: &[&str]) -> Vec<ShapeProblem> {
        let ranges = FIELDS
            .iter()
            .filter(|field| !unread.contains(&field.name))
            .filter_map(|field| self.out_of_range(field));
        let rules = RULES
            .iter()
            .filter(|rule| !rule.fields.iter().any(|name| unread.contains(name)))
            .filter(|rule| !(rule.holds)(self))
            .map(|rule| self.broken(rule));
        ranges.chain(rules).collect()
    }

    fn out_of_range(&self, field: &Field) -> Option<ShapeProblem> {
        let requirement = match field.kind {
            Kind::Count { get, min, max, .. } => {
                let value = get(self);
                (!(min..=max).contains(&value)).then(|| match min == max {
                    true => format!("{} must be {min}", field.about),
                    false => format!("{} must lie within {min} to {max}", field.about),
                })
            }
            // A NaN lies in no range.
            Kind::Real { get, min, max, .. } => (!(min..=max).contains(&get(self)))
                .then(|| format!("{} must lie within {min:e} to {max:e}", field.about)),
        }?;
        Some(ShapeProblem { rule: "range", found: self.value_of(field.name), requirement })
    }

    fn broken(&self, rule: &Rule) -> ShapeProblem {
        let found: Vec<String> = rule.fields.iter().map(|name| self.value_of(name)).collect();
        ShapeProblem {
            rule: rule.name,
            found: found.join(", "),
            requirement: rule.requirement.to_owned(),
        }
    }

    /// `deepseek4.KEY = VALUE` of a field by its Rust name.
    fn value_of(&self, name: &str) -> String {
        let array = |key: &str, values: String| format!("deepseek4.{key} = [{values}]");
        match name {
            "ratios" => array(RATIOS_KEY, shortened(&self.ratios)),
            "swiglu_clamp" => array(CLAMPS_KEY, shortened(&self.swiglu_clamp)),
            _ => match FIELDS.iter().find(|field| field.name == name) {
                Some(field) => format!("deepseek4.{} = {}", field.key, self.value_text(field)),
                None => name.to_owned(),
            },
        }
    }

    /// The value of a scalar field as text.
    pub fn value_text(&self, field: &Field) -> String {
        match field.kind {
            Kind::Count { get, .. } => get(self).to_string(),
            Kind::Real { get, .. } => get(self).to_string(),
        }
    }
}

/// Key of [`Shape::ratios`], without `deepseek4.`.
pub(super) const RATIOS_KEY: &str = "attention.compress_ratios";
/// Key of [`Shape::swiglu_clamp`], without `deepseek4.`.
pub(super) const CLAMPS_KEY: &str = "swiglu_clamp_exp";

/// A list in print: long ones end in their length.
fn shortened<T: fmt::Display>(values: &[T]) -> String {
    const SHOWN: usize = crate::limits::LAYERS_MAX;
    let mut text: Vec<String> = values.iter().take(SHOWN).map(T::to_string).collect();
    if values.len() > SHOWN {
        text.push(format!("... {} values", values.len()));
    }
    text.join(", ")
}
