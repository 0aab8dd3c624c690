//! `ds4 tokenize`.

/// Arguments of `ds4 tokenize`.
#[derive(clap::Args)]
pub struct TokenizeArgs {}

impl TokenizeArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not built yet")
    }
}
