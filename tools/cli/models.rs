//! Which model is meant: a file, a name in the models folder, that folder's only one, or the demo
//! model inside the program.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::demo;

/// Where models come from.
const SOURCE: &str = "https://huggingface.co/antirez/deepseek-v4-gguf";

/// A chosen model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A file.
    File(PathBuf),
    /// The one inside the program: asked for by name, or for want of another.
    Demo {
        /// Whether it was named.
        named: bool,
    },
}

/// One line about the demo model, and how to get a real one.
pub fn about_demo() -> String {
    format!(
        "no model given: using the built-in demo model (24 million parameters). For a real one put a \
         DeepSeek V4 GGUF from {SOURCE} into the models folder, or name it with -m FILE"
    )
}

/// The model that `-m` and `DS4_MODEL` (`named`) or the models folder mean.
pub fn choose(named: Option<&Path>) -> anyhow::Result<Choice> {
    // A variable that is set to nothing names nothing.
    let named = named.filter(|name| !name.as_os_str().is_empty());
    choose_in(named, folder().as_deref())
}

/// `$XDG_DATA_HOME/ds4/models`, or where the system keeps such data. `None` without a home.
fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let data = absolute("XDG_DATA_HOME").or_else(|| {
        let local =
            if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
        Some(absolute("HOME")?.join(local))
    });
    Some(data?.join("ds4/models"))
}

fn choose_in(named: Option<&Path>, folder: Option<&Path>) -> anyhow::Result<Choice> {
    let models = folder.map(models_in).unwrap_or_default();
    let place = folder.map_or("the models folder".to_owned(), |path| path.display().to_string());
    if let Some(name) = named {
        return by_name(name, folder, &models, &place);
    }
    let default = folder.map(|folder| folder.join("default.gguf")).filter(|path| path.exists());
    match (default, models.as_slice()) {
        (Some(default), _) => Ok(Choice::File(default)),
        (None, [only]) => Ok(Choice::File(only.clone())),
        (None, []) => Ok(Choice::Demo { named: false }),
        (None, several) => bail!(
            "{place} holds {} models: {}.\n\
             Name one with -m NAME, or make one the default: ln -s FILE {place}/default.gguf",
            several.len(),
            names(several)
        ),
    }
}

fn by_name(
    name: &Path,
    folder: Option<&Path>,
    models: &[PathBuf],
    place: &str,
) -> anyhow::Result<Choice> {
    let plain = name.components().count() == 1;
    let mut candidates = vec![name.to_path_buf()];
    if let (true, Some(folder)) = (plain, folder) {
        candidates.push(folder.join(name));
        let mut with_ending = folder.join(name).into_os_string();
        with_ending.push(".gguf");
        candidates.push(with_ending.into());
    }
    if let Some(found) = candidates.into_iter().find(|path| path.exists()) {
        return Ok(Choice::File(found));
    }
    if name == Path::new(demo::NAME) {
        return Ok(Choice::Demo { named: true });
    }
    let shown = name.display();
    match (plain, models) {
        (false, _) => bail!("there is no file {shown}: check the path given with -m or DS4_MODEL"),
        (true, []) => bail!(
            "there is no file {shown} here, and no model in {place}: check the name given with -m \
             or DS4_MODEL, or download a model from {SOURCE}"
        ),
        (true, models) => bail!(
            "there is no file {shown} here, and no model of that name in {place}; there are: {}",
            names(models)
        ),
    }
}

/// Model files of a folder in order of name, of split ones the first part.
fn models_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut models: Vec<PathBuf> = paths.filter(|path| is_model(path)).collect();
    models.sort();
    models
}

fn is_model(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let part = name.rsplit_once("-of-").and_then(|(front, _)| front.rsplit_once('-'));
    let later_part = part.is_some_and(|(_, number)| {
        number.bytes().all(|digit| digit.is_ascii_digit()) && number.parse() != Ok(1)
    });
    path.extension().is_some_and(|ending| ending == "gguf") && path.is_file() && !later_part
}

fn names(models: &[PathBuf]) -> String {
    let name = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    models.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(named: Option<&str>, folder: &Path) -> String {
        choose_in(named.map(Path::new), Some(folder)).expect_err("refused").to_string()
    }

    #[test]
    fn the_only_model_is_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let demo = |named| Choice::Demo { named };
        assert_eq!(choose_in(None, Some(path)).unwrap(), demo(false));
        assert_eq!(choose_in(Some(Path::new("nano")), Some(path)).unwrap(), demo(true));
        let touch = |name: &str| std::fs::write(path.join(name), "").unwrap();
        touch("notes.txt");
        touch("flash-00001-of-00002.gguf");
        touch("flash-00002-of-00002.gguf");
        let first = path.join("flash-00001-of-00002.gguf");
        let file = |path: &Path| Choice::File(path.to_path_buf());
        assert_eq!(choose_in(None, Some(path)).unwrap(), file(&first));

        touch("pro.gguf");
        let several = refused(None, path);
        assert!(several.contains("2 models: flash-00001-of-00002, pro."), "{several}");
        assert!(several.contains("-m NAME") && several.contains("default.gguf"), "{several}");
        let pro = path.join("pro.gguf");
        assert_eq!(choose_in(Some(Path::new("pro")), Some(path)).unwrap(), file(&pro));
        assert_eq!(choose_in(Some(&first), Some(path)).unwrap(), file(&first));
        let unknown = refused(Some("prp"), path);
        assert!(unknown.contains("no model of that name"), "{unknown}");
        assert!(refused(Some("a/b.gguf"), path).contains("check the path"));

        touch("default.gguf");
        let default = path.join("default.gguf");
        assert_eq!(choose_in(None, Some(path)).unwrap(), file(&default));
    }

    #[test]
    fn without_a_home_there_is_the_demo_model() {
        assert_eq!(choose_in(None, None).unwrap(), Choice::Demo { named: false });
    }

    #[test]
    fn the_demo_model_opens() {
        let model = demo::open().expect("the embedded file is whole");
        assert_eq!(model.shape.as_ref(), &ds4_model::shape::Shape::nano());
    }
}
