//! Activation buffers of a plan: logical, named, sized by rules and not by bytes.

/// Index of a buffer in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// How many rows a buffer has in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// T: one for each token of the step.
    Step,
    /// R: one for each token whose logits are wanted.
    Logits,
}

/// What an entry of a buffer is. Both take four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// A number.
    F32,
    /// A row, token or expert id.
    U32,
}

/// One activation buffer, shape \[rows, dims...\].
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Unique in the plan; the name of the step that writes it, or that with a suffix.
    pub name: String,
    /// Rule of the outermost dimension.
    pub rows: Rows,
    /// Inner dimensions, outermost first; not empty.
    pub dims: Vec<usize>,
    /// Entries.
    pub element: Element,
}

impl Buffer {
    /// Entries of one row.
    pub fn width(&self) -> usize {
        self.dims.iter().product()
    }

    /// Innermost dimension.
    pub fn inner(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }
}
