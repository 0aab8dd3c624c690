//! `ds4 inspect`.

/// Arguments of `ds4 inspect`.
#[derive(clap::Args)]
pub struct InspectArgs {}

impl InspectArgs {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::bail!("not built yet")
    }
}
