//! Writes the good file and the malformed ones of the tests as seeds for the fuzzer
//! (fuzz/README.md).

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| std::io::Error::other("usage: fuzz_seeds FOLDER"))?;
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("good"), support::good().0)?;
    for case in support::malformed::all_cases() {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = case.name.chars().map(letter).collect();
        std::fs::write(folder.join(name), case.file.bytes)?;
    }
    Ok(())
}
