//! Every mistake has its exit code and is told what to do.

use ds4_format::gguf::{GgufWriter, Value};
use ds4_model::inventory::Profile;
use ds4_model::inventory::synthetic::sparse_model;
use ds4_model::shape::Shape;

use super::{Home, text, toy};
use crate::support::case::case;

/// Command line, exit code, parts of the message. Words in capitals are files of [`Mistakes::new`].
const ROWS: &[(&str, i32, &[&str])] = &[
    // Which model.
    ("-m ABSENT -p x", 1, &["there is no file", "absent/file", "check the path"]),
    ("-m flash9 -p x", 1, &["no model in", "check the name", "download"]),
    ("-m FOLDER -p x", 1, &["folder", "is a", "regular file is needed"]),
    ("-m NOISE -p x", 1, &["noise.gguf", "GGUF"]),
    ("-m NOTHING -p x", 1, &["nothing.gguf"]),
    ("-m CUT -p x", 1, &["cut.gguf", "bytes"]),
    (
        "-m FOREIGN -p x",
        1,
        &["llama.gguf", "general.architecture = \"llama\"", "DeepSeek V4 family only"],
    ),
    (
        "-m FLASH -p x --memory 24G",
        1,
        &[
            "flash.gguf needs",
            "80.8 GiB of weights",
            "24.0 GiB",
            "smaller quantisation",
            "56.8 GiB too large",
        ],
    ),
    ("-m TOY -p x --memory 16M -c 1M", 1, &["16.0 MiB", "1 x 1048576 tokens", "fits: use -c"]),
    ("-m TOY -p x -c 2M", 2, &["-c", "32768, 32k or 1M"]),
    // What to ask.
    ("-m TOY", 1, &["the prompt is empty", "-p TEXT"]),
    ("-m TOY -p ''", 1, &["the prompt is empty", "--prompt-file FILE"]),
    ("-m TOY --raw -p ''", 1, &["the prompt is empty"]),
    ("-m TOY --prompt-file EMPTY", 1, &["the prompt is empty"]),
    ("-m TOY --prompt-file ABSENT", 1, &["cannot open", "check the path"]),
    ("-m TOY --prompt-file FOLDER", 1, &["is a folder", "name a text file"]),
    ("-m TOY --prompt-file LATIN1", 1, &["latin1.txt is not UTF-8 text (byte 3)", "iconv"]),
    ("-m TOY --prompt-file /dev/zero", 1, &["more than 67108864 bytes", "shorter text"]),
    ("-m TOY -p LONG -c 64", 1, &["the context 64: use -c", "shorten the prompt"]),
    (
        "-m TOY -p x --effort low",
        1,
        &["\"low\" is not known to this checkpoint", "\"high\" or \"max\""],
    ),
    ("-m TOY -p x --effort huge", 2, &["none, low, high, max"]),
    ("-m TOY -p x --effort none --think", 2, &["leave out --think"]),
    ("-m TOY -p x --nothink --think", 2, &["cannot be used with"]),
    ("-m TOY -p x --nothink --think-budget 5", 2, &["cannot be used with"]),
    ("-m TOY -p x --raw --system y", 2, &["cannot be used with", "--help"]),
    ("-m TOY -p x --checkpoint 0999", 2, &["preview, 0731"]),
    // How long, and how to draw.
    ("-m TOY -p x -n 0", 2, &["at least 1"]),
    ("-m TOY -p x -n -5", 2, &["at least 1"]),
    ("-m TOY -p x -n many", 2, &["at least 1"]),
    ("-m TOY -p x -c 0", 2, &["1 to 1048576"]),
    ("-m TOY -p x --chunk 0", 2, &["at least 1"]),
    ("-m TOY -p x --temperature -1", 2, &["temperature is -1", "from 0 to 100", "--help"]),
    ("-m TOY -p x --temperature NaN", 2, &["temperature is NaN"]),
    ("-m TOY -p x --temperature hot", 2, &["--temperature"]),
    ("-m TOY -p x --top-p 0", 2, &["top_p is 0", "at most 1"]),
    ("-m TOY -p x --top-p 1.5", 2, &["top_p is 1.5"]),
    ("-m TOY -p x --min-p 2", 2, &["min_p is 2"]),
    ("-m TOY -p x --top-k 513", 1, &["top_k is 513", "at most 512"]),
    ("-m TOY -p x --repetition-penalty 0", 2, &["repetition_penalty is 0", "1 is none"]),
    ("-m TOY -p x --presence-penalty 3", 2, &["presence_penalty is 3", "-2 to 2"]),
    ("-m TOY -p x --frequency-penalty -3", 2, &["frequency_penalty is -3"]),
    ("-m TOY -p x --logit-bias 512=1", 1, &["token 512", "0 to 511", "ds4 tokenize"]),
    ("-m TOY -p x --logit-bias 5", 2, &["ID=BIAS"]),
    ("-m TOY -p x --logit-bias 5=1 --logit-bias 5=2", 2, &["token 5 twice"]),
    ("-m TOY -p x --stop ''", 2, &["stop string 1 has 0 bytes"]),
    ("-m TOY -p x --seed -1", 2, &["--seed"]),
    ("-m TOY -p x --top-logprobs 3", 2, &["--dump-logprobs"]),
    // Where it runs, and where results go.
    ("-m TOY -p x --backend cuda", 1, &["no cuda back end", "--backend cpu"]),
    ("-m TOY -p x --backend tpu", 2, &["auto, cpu, metal, vulkan, cuda"]),
    ("-m TOY -p x --device 1", 1, &["one device", "leave --device out"]),
    ("-m TOY -p x --dump-logprobs FOLDER", 1, &["cannot write", "name a file"]),
    ("-m TOY -p x --dump-logprobs ABSENT", 1, &["cannot write", "make its folder first"]),
    ("-m TOY --tokens WORDS", 2, &["--dump-logits"]),
    ("-m TOY --tokens WORDS --dump-logits OUT", 1, &["words.txt", "word 3 is \"three\""]),
    ("-m TOY --tokens BEYOND --dump-logits OUT", 1, &["token 512 (word 3)", "0 to 511"]),
    ("-m TOY --tokens EMPTY --dump-logits OUT", 1, &["no token ids"]),
    ("-m TOY --tokens ABSENT --dump-logits OUT", 1, &["cannot open"]),
    ("-m TOY --tokens IDS --dump-logits ABSENT", 1, &["cannot write", "folder first"]),
    ("-m TOY --tokens IDS --dump-logits OUT --lanes 0", 2, &["at least 1"]),
    (
        "-m TOY --tokens IDS --dump-logits OUT --dump-tensors --dump-positions 0,3",
        1,
        &["position 3", "0 to 2"],
    ),
    // Words.
    ("fly", 2, &["--help"]),
    ("--fly", 2, &["--help"]),
    ("completions dosshell", 2, &["bash", "zsh", "fish"]),
    ("man IDS", 1, &["cannot write man pages", "name a folder"]),
];

/// A model of another family, otherwise in order.
fn foreign(home: &Home) -> String {
    let mut writer = GgufWriter::new();
    writer.key("general.architecture", Value::String("llama".into()));
    let directory = writer.finish().expect("can be written");
    home.write("llama.gguf", &directory.bytes)
}

/// Flash as it is published, without its weights.
fn flash(home: &Home) -> String {
    let model = sparse_model(&Shape::flash(), Profile::Q2).expect("can be written");
    let path = home.write("flash.gguf", &model.header);
    let file = std::fs::File::options().write(true).open(&path).expect("a file");
    file.set_len(model.file_bytes).expect("a hole");
    path
}

/// What the words in capitals stand for.
struct Mistakes {
    home: Home,
    words: Vec<(&'static str, String)>,
}

impl Mistakes {
    fn new() -> Self {
        let home = Home::new();
        let good = std::fs::read(toy()).expect("a model");
        let place = |name: &str| home.path(name).display().to_string();
        std::fs::create_dir(home.path("folder")).expect("a folder");
        let words = vec![
            ("TOY", toy()),
            ("FOLDER", place("folder")),
            ("ABSENT", place("absent/file")),
            ("OUT", place("out.safetensors")),
            ("LONG", "word ".repeat(100)),
            ("LATIN1", home.write("latin1.txt", b"caf\xe9")),
            ("EMPTY", home.write("empty.txt", b"\n")),
            ("WORDS", home.write("words.txt", b"1 2 three")),
            ("BEYOND", home.write("beyond.txt", b"1 2 512")),
            ("IDS", home.write("ids.txt", b"1 2 3")),
            ("CUT", home.write("cut.gguf", &good[..good.len() / 2])),
            ("NOISE", home.write("noise.gguf", b"this is no model at all")),
            ("NOTHING", home.write("nothing.gguf", b"")),
            ("FOREIGN", foreign(&home)),
            ("FLASH", flash(&home)),
        ];
        Self { home, words }
    }

    fn arguments<'a>(&'a self, line: &'a str) -> Vec<&'a str> {
        let meaning = |word: &'a str| match self.words.iter().find(|(name, _)| *name == word) {
            Some((_, meaning)) => meaning,
            None if word == "''" => "",
            None => word,
        };
        line.split(' ').map(meaning).collect()
    }
}

#[test]
fn every_mistake_has_its_exit_code_and_says_what_to_do() {
    let mistakes = Mistakes::new();
    for (line, code, parts) in ROWS {
        let output = mistakes.home.run(&mistakes.arguments(line));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{line}: {error}");
        assert!(output.stdout.is_empty(), "{line}: prints on standard output");
        assert!(!error.contains("panicked"), "{line}: {error}");
        for part in *parts {
            assert!(error.contains(part), "{line}: {error:?} lacks {part:?}");
        }
    }
    println!("{} rows", ROWS.len());
}

#[test]
fn the_advice_on_memory_is_true() {
    let home = Home::new();
    let (toy, memory) = (toy(), ["--memory", "16M", "-p", "x", "-n", "2"]);
    let refused = home.run(&[&["-m", &toy, "-c", "1M"], &memory[..]].concat());
    let message = text(&refused.stderr);
    let advice = message.rsplit_once("use -c ").expect("advice").1.trim().to_owned();
    let tokens: usize = advice.parse().expect("a number");
    home.printed(&[&["-m", &toy, "-c", &advice], &memory[..]].concat());
    let twice = (2 * tokens).to_string();
    assert_eq!(
        home.run(&[&["-m", &toy, "-c", &twice], &memory[..]].concat()).status.code(),
        Some(1)
    );
}

#[test]
fn exact_rows_are_advised_where_packed_ones_do_not_exist() {
    let home = Home::new();
    let model = case("f32_small").model().display().to_string();
    let refused = home.run(&["-m", &model, "-p", "x", "-n", "2"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("use --kv exact"));
    home.printed(&["-m", &model, "-p", "x", "-n", "2", "--kv", "exact"]);
}

#[test]
fn without_a_home_the_demo_model_answers() {
    let home = Home::new();
    let mut command = home.command(&["-p", "x", "-n", "3"]);
    let output = command.env_remove("XDG_DATA_HOME").env_remove("HOME").output().expect("it runs");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("demo model") && said.contains("-m FILE"), "{said}");
}
