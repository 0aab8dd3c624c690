//! Oracle cases: where they are, what they expect, and engines on them.

use std::path::{Path, PathBuf};

use ds4_cpu::{CpuBackend, CpuOptions};
use ds4_model::kv::RowFormat;
use ds4_runtime::diagnose::Tensor;
use ds4_runtime::engine::{Engine, EngineOptions, PlanEdit};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

/// A case of the oracle.
pub struct Case {
    pub name: String,
    pub dir: PathBuf,
}

/// All cases: of `DS4_ORACLE`, of the shared folder beside the checkout, or the copies in
/// tests/data. None is a failure.
pub fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = root.join("../shared/oracle/cases");
    let dir = match std::env::var_os("DS4_ORACLE") {
        Some(dir) => PathBuf::from(dir),
        None if shared.is_dir() => shared,
        None => root.join("tests/data/oracle"),
    };
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{dir:?}: {error}"));
    let mut cases: Vec<Case> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.join("model.gguf").is_file())
        .map(|dir| Case { name: dir.file_name().unwrap().to_string_lossy().into_owned(), dir })
        .collect();
    assert!(!cases.is_empty(), "no oracle cases in {dir:?}: set DS4_ORACLE");
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

/// The case of this name.
pub fn case(name: &str) -> Case {
    let found = cases().into_iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("no oracle case {name}"))
}

/// The oracle's single operations.
pub fn unit_vectors() -> Expected {
    let dir = case("f32_small").dir;
    let shared = dir.join("../unit_vectors.safetensors");
    let copy = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/unit_vectors.safetensors");
    Expected::read(if shared.is_file() { &shared } else { &copy })
}

impl Case {
    pub fn model(&self) -> PathBuf {
        self.dir.join("model.gguf")
    }

    /// What is expected with this row format; `None` if the case has nothing for it.
    pub fn expected(&self, format: RowFormat) -> Option<Expected> {
        let name = match format {
            RowFormat::Exact => "expected.safetensors",
            RowFormat::Packed => "expected_ds4kv.safetensors",
        };
        let path = self.dir.join(name);
        path.is_file().then(|| Expected::read(&path))
    }

    /// `generate.json`.
    pub fn generate(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.dir.join("generate.json")).expect("generate.json");
        serde_json::from_str(&text).expect("JSON")
    }

    /// An engine for `lanes` lanes of `context` tokens.
    pub fn engine(&self, setup: &Setup) -> Engine {
        let backend = CpuBackend::new(&setup.cpu).expect("threads");
        let options = EngineOptions {
            context: setup.context,
            lanes: setup.lanes,
            format: setup.format,
            edit: setup.edit.clone(),
            ..EngineOptions::default()
        };
        Engine::open(&self.model(), Box::new(backend), options, |_| {})
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// How to set up an engine.
#[derive(Clone)]
pub struct Setup {
    pub format: RowFormat,
    pub context: usize,
    pub lanes: usize,
    pub cpu: CpuOptions,
    pub edit: Option<PlanEdit>,
}

impl Setup {
    pub fn new(format: RowFormat, context: usize) -> Self {
        Self { format, context, lanes: 1, cpu: CpuOptions::default(), edit: None }
    }
}

/// A safetensors file.
pub struct Expected(Vec<(String, Tensor)>);

impl Expected {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let dims = view.shape().to_vec();
            let words = view.data().as_chunks::<4>().0.iter();
            let tensor = match view.dtype() {
                Dtype::F32 => {
                    Tensor::F32 { dims, data: words.map(|w| f32::from_le_bytes(*w)).collect() }
                }
                Dtype::I32 => {
                    Tensor::I32 { dims, data: words.map(|w| i32::from_le_bytes(*w)).collect() }
                }
                Dtype::U8 => {
                    Tensor::I32 { dims, data: view.data().iter().map(|&b| i32::from(b)).collect() }
                }
                other => panic!("{name} is {other:?}"),
            };
            (name, tensor)
        };
        Self(file.tensors().into_iter().map(tensor).collect())
    }

    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, tensor)| tensor)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    pub fn f32(&self, name: &str) -> (&[usize], &[f32]) {
        match self.find(name) {
            Some(Tensor::F32 { dims, data }) => (dims, data),
            _ => panic!("no f32 tensor {name}"),
        }
    }

    pub fn i32(&self, name: &str) -> &[i32] {
        match self.find(name) {
            Some(Tensor::I32 { data, .. }) => data,
            _ => panic!("no i32 tensor {name}"),
        }
    }

    pub fn tokens(&self) -> Vec<u32> {
        self.i32("tokens").iter().map(|&token| token as u32).collect()
    }
}
