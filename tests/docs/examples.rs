//! Every block of YAML in the documentation is accepted by the program that reads it.
//!
//! The words after `yaml` in the fence say what the block is:
//!
//! - `yaml`: a configuration, which the code of `check` accepts without anything else
//! - `yaml fragment`: a part of a configuration; the sections of [`BASE`] that it lacks are added
//! - `yaml values`: values of the chart; `tests/chart/test_docs.py` also passes them to Helm
//! - `yaml other`: a file of another program, which is not checked here

use std::fs;

use bedrock_grpc::config::{Config, ConfigFile, Problem, Problems, ValueFiles};

use super::{links::pages, page};

/// The sections that fragments can need.
const BASE: &str = "\
targets:
  claude: { model_id: us.anthropic.claude-sonnet-5, region: us-east-1 }
allowed_model_ids: ['us.*']
prices:
  - { models: ['*'], input: 1, output: 1 }
";

/// A block of YAML: its place, the words after `yaml`, and its text.
struct Block {
    place: String,
    kind: String,
    text: String,
}

/// Returns the blocks of YAML of a page, without their indentation.
fn blocks(name: &str, page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let Some(info) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let inside = lines
            .by_ref()
            .map(|(_, line)| line.get(indent..).unwrap_or_default())
            .take_while(|line| !line.starts_with("```"))
            .fold(String::new(), |text, line| text + line + "\n");
        let mut words = info.split_whitespace();
        if matches!(words.next(), Some("yaml" | "yml")) {
            blocks.push(Block {
                place: format!("{name}:{}", number + 1),
                kind: words.collect::<Vec<_>>().join(" "),
                text: inside,
            });
        }
    }
    blocks
}

/// Returns the sections of [`BASE`] whose keys a text does not have.
fn missing_sections(text: &str) -> String {
    let has = |key: &str| text.lines().any(|line| line.starts_with(key));
    let mut wanted = false;
    let mut sections = String::new();
    for line in BASE.lines() {
        if let (Some((key, _)), false) = (line.split_once(':'), line.starts_with(' ')) {
            wanted = !has(&format!("{key}:"));
        }
        if wanted {
            sections.push_str(line);
            sections.push('\n');
        }
    }
    sections
}

/// Returns what is wrong with a block, if anything.
fn problem(block: &Block) -> Option<String> {
    let text = match block.kind.as_str() {
        "" | "walk" | "values" => block.text.clone(),
        "fragment" => {
            let sections = missing_sections(&block.text);
            if parse(&block.text).is_ok() {
                return Some("is accepted without `fragment`; remove the word".to_owned());
            }
            block.text.clone() + &sections
        }
        "other" => return None,
        other => return Some(format!("unknown kind of block: {other}")),
    };
    let result = if block.kind == "values" {
        let file = ConfigFile {
            path: "values.yaml".into(),
            text: with_config(text),
            values: ValueFiles::default(),
        };
        match Config::of_file_or_values(&file) {
            Ok((_, true)) => return None,
            Ok((_, false)) => return Some("is not recognized as values of the chart".to_owned()),
            Err(problems) => problems.problems,
        }
    } else {
        match parse(&text) {
            Ok(_) => return None,
            Err(problems) => problems,
        }
    };
    let problems = Problems {
        file: "in the block".to_owned(),
        problems: result,
    };
    Some(problems.to_string())
}

/// Returns values of the chart with a configuration, which they need not set.
fn with_config(values: String) -> String {
    if values.lines().any(|line| line.starts_with("config:")) {
        values
    } else {
        values + "config: {}\n"
    }
}

/// Parses a configuration. All environment variables that it names are set, and no others.
fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    Config::parse(text, &|name| {
        let is_named = text.contains(&format!("${{{name}"));
        is_named.then(|| "value".to_owned())
    })
}

#[test]
fn every_yaml_block_is_accepted() {
    let mut checked = 0;
    let mut problems = Vec::new();
    for path in pages() {
        let name = path.strip_prefix(page::path("")).unwrap_or(&path);
        let text = fs::read_to_string(&path).unwrap();
        for block in blocks(&name.display().to_string(), &text) {
            checked += 1;
            if let Some(problem) = problem(&block) {
                problems.push(format!("{}: {problem}", block.place));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(checked > 20, "{checked} blocks");
}

#[test]
fn a_wrong_block_is_reported() {
    for (fence, text) in [
        ("yaml", "targets: {a: {modelid: a.b}}"),
        ("yaml fragment", "callers: {a: {target: [claude]}}"),
        ("yaml fragment", "listen: ':50051'"),
        ("yaml values", "config: {workerz: 2}"),
        ("yaml vales", "config: {}"),
    ] {
        let page = format!("Text.\n\n```{fence}\n{text}\n```\n");
        let blocks = blocks("page.md", &page);
        assert_eq!(blocks.len(), 1, "{fence}");
        assert_eq!(blocks[0].place, "page.md:3");
        assert!(problem(&blocks[0]).is_some(), "{fence}: {text}");
    }
}
