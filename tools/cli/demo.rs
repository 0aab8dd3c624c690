//! The demo model inside the program: a real DeepSeek V4 model of 24 million parameters, so that
//! `ds4` answers before anything is downloaded (tools/nano).

use ds4_runtime::model_file::{ModelFile, OpenError};

/// Its name for `-m` and in messages.
pub const NAME: &str = "nano";

static BYTES: &[u8] = include_bytes!("../../models/nano.gguf");

/// Opens it; nothing is read or written.
pub fn open() -> Result<ModelFile, OpenError> {
    ModelFile::embedded(NAME, BYTES)
}
