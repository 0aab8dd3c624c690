//! `ds4 run`.

/// Arguments of `ds4 run`.
#[derive(clap::Args)]
pub struct RunArgs {}

impl RunArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not built yet")
    }
}
