//! `docs/config.md` is generated from the schema of the configuration.

use std::fmt::Write as _;

use super::{
    page,
    schema::{Key, keys},
};

const HEAD: &str = "\
# Configuration reference

<!-- Generated from src/config/schema.json: run `UPDATE_DOCS=1 cargo test --test docs`. -->

The configuration is one YAML file: `serve --config FILE`, or the variable `BEDROCK_GRPC_CONFIG`. All keys are optional.
[examples/config.yaml](../examples/config.yaml) contains every key.

- `bedrock-grpc check FILE` validates a file and reports all errors at once.
- `bedrock-grpc schema` prints the JSON schema, so that editors can complete and check keys.
- A value can contain `${NAME}` and `${NAME:-default}`, which are replaced from the environment. Use them for secrets.
- A value can contain `${file:/path}`, which is replaced by the content of the file without trailing line breaks: UTF-8 text of at most 64 KiB. The
  content is a secret, which no error and no output contains. `serve` reads the file again when it changes ([reload.md](reload.md)).
  Paths of files (`access.keys_file`, `tls.key_file` and the others) cannot be written like this, because errors show paths.
- The reasons for limits are in [limits.md](limits.md); targets are explained in [targets.md](targets.md), traces in [observability.md](observability.md#traces).

| value | how to write it |
|---|---|
| duration | a number with a unit: `250ms`, `30s`, `10m`, `2h`. `0` where the description allows it |
| size | a number with a unit: `256KiB`, `32MiB`, `1GB` |
| address | `IP:PORT`, `[IP]:PORT`, or `:PORT` for all addresses |
| Region | an AWS Region, such as `us-east-1` |
| geography | the prefix of an inference profile, such as `eu`, `us` or `global` |
| model ID or ARN | a model's ID, an inference profile's ID, or an ARN |
";

/// Top-level keys that are not sections are in the first table.
fn page(keys: &[Key]) -> String {
    let mut text = HEAD.to_owned();
    let is_top = |key: &Key| !key.path.contains(['.', '[']);
    let is_section = |key: &Key| {
        keys.iter()
            .any(|other| other.path.starts_with(&format!("{}.", key.path)))
    };
    let general: Vec<_> = keys
        .iter()
        .filter(|key| is_top(key) && !is_section(key))
        .collect();
    table(&mut text, "General", "", &general);
    for section in keys.iter().filter(|key| is_top(key) && is_section(key)) {
        let prefix = format!("{}.", section.path);
        let members: Vec<_> = keys
            .iter()
            .filter(|key| key.path.starts_with(&prefix))
            .collect();
        table(
            &mut text,
            &format!("`{}`", section.path),
            &section.description,
            &members,
        );
    }
    text
}

fn table(text: &mut String, title: &str, description: &str, keys: &[&Key]) {
    let _ = write!(text, "\n## {title}\n\n");
    if !description.is_empty() {
        let _ = write!(text, "{description}.\n\n");
    }
    text.push_str("| key | value | default | description |\n|---|---|---|---|\n");
    for key in keys {
        let description = key.description.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {description} |",
            key.path, key.value, key.default
        );
    }
}

#[test]
fn the_reference_of_the_configuration_is_fresh() {
    page::assert_generated("docs/config.md", &page(&keys()));
}

#[test]
fn every_key_says_what_it_is_for_and_what_values_it_takes() {
    for key in keys() {
        assert!(!key.description.is_empty(), "{}: no description", key.path);
        assert!(!key.value.is_empty(), "{}: no kind of value", key.path);
    }
}
