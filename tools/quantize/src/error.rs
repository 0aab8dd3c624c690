//! What can go wrong, with the file, the tensor and what was expected.

use std::path::{Path, PathBuf};

use ds4_format::gguf::GgufError;
use ds4_format::quant::encode::EncodeError;
use ds4_io::ReadError;
use ds4_model::backend::BackendError;
use ds4_runtime::engine::EngineError;
use ds4_runtime::model_file::OpenError;

/// Why no file was made.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// Opening or reading a source.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A GGUF source.
    #[error(transparent)]
    Open(Box<OpenError>),
    /// The engine, while importances are collected.
    #[error(transparent)]
    Engine(Box<EngineError>),
    /// A file operation.
    #[error("cannot {action} {}: {error}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// A source file that is not what its name says.
    #[error("{}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Field, what was found, what is expected.
        what: String,
    },
    /// A tensor of the source that cannot be used.
    #[error("{}: tensor {tensor}: {what}", path.display())]
    Tensor {
        /// The file or folder.
        path: PathBuf,
        /// Its name there.
        tensor: String,
        /// What was found, what is expected.
        what: String,
    },
    /// A format that a tensor cannot have.
    #[error(
        "{tensor} cannot be {quant}: {what}; choose another one with --override '{tensor}=TYPE'"
    )]
    Recipe {
        /// The output tensor.
        tensor: String,
        /// The format.
        quant: String,
        /// Why.
        what: String,
    },
    /// An override that says nothing.
    #[error("--override {text:?}: {what}")]
    Override {
        /// As given.
        text: String,
        /// What is wrong.
        what: String,
    },
    /// Values that have no code.
    #[error("{}: tensor {tensor}, rows from {row}: {error}", path.display())]
    Encode {
        /// The source file.
        path: PathBuf,
        /// Its name there.
        tensor: String,
        /// First row of the task.
        row: usize,
        /// What the encoder says.
        error: EncodeError,
    },
    /// The directory of the output.
    #[error("the output cannot be laid out: {0}")]
    Layout(#[from] GgufError),
    /// The output exists.
    #[error("{} exists; remove it, name another file, or replace it with --force", .0.display())]
    Exists(PathBuf),
    /// Two processes on one output.
    #[error("{} is being written by another ds4; wait for it, or name another file", .0.display())]
    Busy(PathBuf),
    /// Stopped by the caller.
    #[error("stopped; the same command goes on where it was")]
    Stopped,
}

impl From<OpenError> for QuantizeError {
    fn from(error: OpenError) -> Self {
        Self::Open(Box::new(error))
    }
}

impl From<EngineError> for QuantizeError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<BackendError> for QuantizeError {
    fn from(error: BackendError) -> Self {
        EngineError::from(error).into()
    }
}

impl QuantizeError {
    pub(crate) fn format(path: &Path, what: impl Into<String>) -> Self {
        Self::Format { path: path.to_path_buf(), what: what.into() }
    }

    pub(crate) fn tensor(path: &Path, tensor: &str, what: impl Into<String>) -> Self {
        Self::Tensor { path: path.to_path_buf(), tensor: tensor.to_owned(), what: what.into() }
    }

    /// For `map_err`: a failed file operation.
    pub(crate) fn file(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |error| Self::File { action, path, error }
    }
}
