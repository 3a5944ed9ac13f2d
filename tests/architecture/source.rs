//! Reads Rust source as far as the rules need it: code without comments, literals and tests, and
//! the paths that it names.

/// A path that code names, and the name that the code gives it.
pub(crate) struct Use {
    /// The path as written. It may begin with `crate`, `self`, `super`, a module or a crate.
    pub(crate) path: Vec<String>,
    /// The name after `as`.
    alias: Option<String>,
}

impl Use {
    /// The name under which the code can use it.
    pub(crate) fn name(&self) -> Option<&str> {
        self.alias.as_ref().or(self.path.last()).map(String::as_str)
    }
}

/// A source file.
pub(crate) struct Source {
    /// Its path below `src`, such as `grpc/layers/mod.rs`.
    pub(crate) path: String,
    /// The text of the file.
    pub(crate) text: String,
    /// The text without comments, literals and test code; lines keep their numbers.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = without_tests(&without_comments_and_literals(text));
        Self {
            path: path.replace('\\', "/"),
            text: text.to_owned(),
            code,
        }
    }

    /// The position in the module tree: `grpc`, `validate`, `json`.
    pub(crate) fn module_path(&self) -> Vec<&str> {
        let mut path: Vec<_> = self.path.trim_end_matches(".rs").split('/').collect();
        path.pop_if(|last| *last == "mod");
        path
    }

    /// The top-level module of the file, such as `grpc`; `lib` and `main` for the two roots.
    pub(crate) fn module(&self) -> &str {
        self.module_path()[0]
    }

    /// All paths that the code names, expanded: `use a::{b, c::d}` names `a::b` and `a::c::d`.
    /// Paths into this crate begin with `crate`, however they are written.
    pub(crate) fn paths(&self) -> Vec<String> {
        let depth = self.module_path().len();
        paths(&tokens(&self.code))
            .into_iter()
            .map(|(path, _)| {
                let supers = path.iter().take_while(|name| **name == "super").count();
                match path[0] {
                    "bedrock_grpc" => ["crate"].iter().chain(&path[1..]).copied().collect(),
                    _ if supers == depth => {
                        ["crate"].iter().chain(&path[supers..]).copied().collect()
                    }
                    _ => path,
                }
            })
            .map(|path: Vec<&str>| path.join("::"))
            .collect()
    }

    /// The modules below this one that are compiled for tests only, as `grpc/ending_tests`.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let code = without_comments_and_literals(&self.text);
        let code = code.replace(TESTS_AND_FUZZING, "#[cfg(test)]");
        let items = code.split("#[cfg(test)]").skip(1);
        let names = items.filter_map(|item| {
            let tokens = split_public(&tokens(item)).0;
            match tokens.as_slice() {
                ["mod", name, ";", ..] => Some((*name).to_owned()),
                _ => None,
            }
        });
        names
            .map(|name| {
                let mut path = self.module_path();
                path.pop_if(|last| *last == "lib");
                path.push(&name);
                path.join("/")
            })
            .collect()
    }

    /// What the code uses, without re-exports and the paths of visibilities.
    pub(crate) fn uses(&self) -> Vec<Use> {
        uses(&split_public(&tokens(&self.code)).0)
    }

    /// What the code re-exports.
    pub(crate) fn reexports(&self) -> Vec<Use> {
        uses(&split_public(&tokens(&self.code)).1)
    }

    /// The number of lines, without tests.
    pub(crate) fn length(&self) -> usize {
        let tests = self
            .code
            .lines()
            .filter(|line| line.contains(TEST_LINE))
            .count();
        self.text.lines().count() - tests
    }
}

/// The attribute of code that only tests and fuzz targets use.
const TESTS_AND_FUZZING: &str = "#[cfg(any(test, fuzzing))]";

/// Replaces a line of test code in `code`.
const TEST_LINE: char = '\u{1}';

fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < chars.len() {
        let end = skipped(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.push(' ');
            out.extend(chars[at..end].iter().filter(|c| **c == '\n'));
            at = end;
        }
    }
    out
}

/// Returns the end of the comment or literal that begins here; this position if none begins.
fn skipped(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| {
        chars[at..]
            .iter()
            .copied()
            .take(text.len())
            .eq(text.chars())
    };
    let find = |from: usize, text: &str| {
        (from..chars.len())
            .find(|from| {
                chars[*from..]
                    .iter()
                    .copied()
                    .take(text.len())
                    .eq(text.chars())
            })
            .map_or(chars.len(), |found| found + text.len())
    };
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if starts("//") => find(at, "\n").saturating_sub(1).max(at + 2),
        '/' if starts("/*") => block_comment(chars, at),
        '"' => quoted(chars, at, '"'),
        'r' if !in_word || chars[at - 1] == 'b' => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if chars.get(at + 1 + hashes) == Some(&'"') {
                find(at + 2 + hashes, &format!("\"{}", "#".repeat(hashes)))
            } else {
                at
            }
        }
        // This is not a lifetime, because lifetimes have no second quote.
        '\'' if chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'') => {
            quoted(chars, at, '\'')
        }
        _ => at,
    }
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Blanks items under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(start) = ["#[cfg(test)]", "#[cfg(all(test", TESTS_AND_FUZZING]
        .iter()
        .filter_map(|attribute| rest.find(attribute))
        .min()
    {
        let (before, item) = rest.split_at(start);
        let end = item_end(item);
        out.push_str(before);
        for _ in item[..end].matches('\n') {
            out.push(TEST_LINE);
            out.push('\n');
        }
        out.push(TEST_LINE);
        rest = &item[end..];
    }
    out + rest
}

/// Returns the end of an item: after its block or its semicolon.
fn item_end(item: &str) -> usize {
    let mut depth = 0;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// Words, `::`, and all other characters one by one.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn uses(tokens: &[&str]) -> Vec<Use> {
    let owned = |path: Vec<&str>| path.into_iter().map(str::to_owned).collect();
    paths(tokens)
        .into_iter()
        .map(|(path, alias)| Use {
            path: owned(path),
            alias: alias.map(str::to_owned),
        })
        .collect()
}

/// The tokens without re-exports, and those of re-exports alone. Visibilities are in neither.
fn split_public<'a>(tokens: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut others, mut reexports) = (Vec::new(), Vec::new());
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        if *first != "pub" {
            others.push(*first);
            rest = after;
            continue;
        }
        let visibility = match after.first() {
            Some(&"(") => after
                .iter()
                .position(|token| *token == ")")
                .map_or(0, |at| at + 1),
            _ => 0,
        };
        rest = &after[visibility..];
        if let Some((&"use", tree)) = rest.split_first() {
            let end = tree
                .iter()
                .position(|token| *token == ";")
                .unwrap_or(tree.len());
            reexports.extend(&tree[..end]);
            reexports.push(";");
            rest = &tree[end..];
        }
    }
    (others, reexports)
}

/// A path, and the name behind `as`.
type Named<'a> = (Vec<&'a str>, Option<&'a str>);

fn paths<'a>(tokens: &[&'a str]) -> Vec<Named<'a>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_word(tokens[at]) {
            at = path(tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one path, or a tree of paths with a common prefix. Returns the end.
fn path<'a>(
    tokens: &[&'a str],
    mut at: usize,
    prefix: &[&'a str],
    found: &mut Vec<Named<'a>>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    let starts = is_word(tokens[at]) || matches!(tokens[at], "*" | "{");
                    at = if starts {
                        self::path(tokens, at, &path, found)
                    } else {
                        at + 1
                    };
                }
                return at + 1;
            }
            Some(&name) if is_word(name) || name == "*" => path.push(name),
            _ => break,
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    let alias = match tokens.get(at) {
        Some(&"as") => tokens.get(at + 1).copied(),
        _ => None,
    };
    at += if alias.is_some() { 2 } else { 0 };
    found.push((path, alias));
    at
}
