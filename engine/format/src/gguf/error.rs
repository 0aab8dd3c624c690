//! What can be wrong with a GGUF file, and how it is told.

use std::fmt;

/// What is wrong. The message in a [`GgufFault`] has the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GgufErrorKind {
    /// The first four bytes are not `GGUF`.
    Magic,
    /// A version this reader does not know.
    Version,
    /// A big-endian file.
    ByteOrder,
    /// More keys or tensors than the file has room for or this engine allows.
    Count,
    /// The file ends inside the directory.
    Truncated,
    /// The directory is larger than this engine allows.
    DirectorySize,
    /// A string longer than the file or than this engine allows.
    StringLength,
    /// A string that is not UTF-8.
    Utf8,
    /// An empty, overlong or unprintable key.
    KeyName,
    /// The same key twice.
    DuplicateKey,
    /// An unknown value type.
    ValueType,
    /// A truth value other than 0 or 1.
    Bool,
    /// An array of arrays.
    NestedArray,
    /// An array longer than the file.
    ArrayLength,
    /// A `general.alignment` that is no alignment.
    Alignment,
    /// An empty, overlong or unprintable tensor name.
    TensorName,
    /// The same tensor twice.
    DuplicateTensor,
    /// No dimensions, too many, or one of zero.
    Dimensions,
    /// A tensor format this engine does not read.
    TensorType,
    /// Rows that are not whole blocks of their format.
    PartialBlock,
    /// Tensor sizes beyond the integers or the file.
    TensorSize,
    /// A tensor offset that is misaligned or outside the file.
    TensorOffset,
    /// Two tensors share bytes.
    Overlap,
    /// A key that is needed and not there.
    MissingKey,
    /// A key of another type than needed.
    WrongType,
    /// A number outside the type it is needed as.
    ValueRange,
    /// Parts of a split model that do not fit together.
    Parts,
}

impl GgufErrorKind {
    /// What the user can do about it.
    fn advice(self) -> &'static str {
        use GgufErrorKind as Kind;
        match self {
            Kind::Magic => "this is not a GGUF file; check the path",
            Kind::Version | Kind::ByteOrder => "convert the model with a current tool",
            Kind::TensorType => "use a file of a quantisation listed by `ds4 models`",
            Kind::Truncated | Kind::TensorOffset | Kind::TensorSize => {
                "the file is incomplete or damaged: resume or repeat the download"
            }
            Kind::MissingKey | Kind::WrongType | Kind::ValueRange => {
                "the file was not made for this engine or is damaged"
            }
            Kind::Parts => "give every part of the same model once, in order",
            _ => "the file is damaged or was made by a faulty tool: download it again",
        }
    }
}

/// The entry of the directory that an error is about.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Subject {
    /// The header, or the file as a whole.
    #[default]
    Header,
    /// A metadata entry by its number from 0, as its name is not known.
    KeyNumber(u64),
    /// A metadata entry.
    Key(String),
    /// A tensor entry by its number from 0, as its name is not known.
    TensorNumber(u64),
    /// A tensor.
    Tensor(String),
    /// A part of a split model by its number from 1.
    Part(usize),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names come from the file: they are printed escaped.
        match self {
            Subject::Header => f.write_str("header"),
            Subject::KeyNumber(number) => write!(f, "key number {number}"),
            Subject::Key(name) => write!(f, "key {name:?}"),
            Subject::TensorNumber(number) => write!(f, "tensor number {number}"),
            Subject::Tensor(name) => write!(f, "tensor {name:?}"),
            Subject::Part(number) => write!(f, "part {number}"),
        }
    }
}

/// One thing wrong with a file: where, what, and (in its message) what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufFault {
    /// What is wrong.
    pub kind: GgufErrorKind,
    /// The entry it is about.
    pub subject: Subject,
    /// Where in the file, in bytes from its start; `None` for what is not there at all.
    pub offset: Option<u64>,
    /// The numbers of the case.
    pub detail: String,
}

impl fmt::Display for GgufFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GGUF {}", self.subject)?;
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        write!(f, ": {} ({:?}); {}", self.detail, self.kind, self.kind.advice())
    }
}

impl std::error::Error for GgufFault {}

/// Why a GGUF file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// Not an error of the file: more of its beginning must be read.
    #[error("the GGUF directory goes on: at least the first {at_least} bytes are needed")]
    NeedMore {
        /// Bytes of the file that must be in memory. The directory may be longer still, so a loader
        /// had better read twice what it has.
        at_least: u64,
    },
    /// The file is wrong.
    #[error(transparent)]
    Fault(Box<GgufFault>),
}

impl GgufError {
    pub(super) fn new(
        kind: GgufErrorKind,
        subject: Subject,
        offset: Option<u64>,
        detail: String,
    ) -> Self {
        Self::Fault(Box::new(GgufFault { kind, subject, offset, detail }))
    }

    /// The fault, if the file is wrong and not only too little of it was read.
    pub fn fault(&self) -> Option<&GgufFault> {
        match self {
            GgufError::NeedMore { .. } => None,
            GgufError::Fault(fault) => Some(fault),
        }
    }

    /// What is wrong, if anything is.
    pub fn kind(&self) -> Option<GgufErrorKind> {
        self.fault().map(|fault| fault.kind)
    }
}
