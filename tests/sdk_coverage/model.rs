//! The shapes of ConverseStream and ApplyGuardrail, read from the SDK's generated source.

use std::collections::{BTreeMap, BTreeSet};

/// The one part that the proto has as JSON text, by decision: the logic trees of the Automated
/// Reasoning trace.
pub(crate) const OPAQUE: &str = "GuardrailAutomatedReasoningPolicyAssessment";

const INPUT: &str = "ConverseStreamInput";
const OUTPUT: &str = "ConverseStreamOutput";
const GUARDRAIL_INPUT: &str = "ApplyGuardrailInput";
const GUARDRAIL_OUTPUT: &str = "ApplyGuardrailOutput";

/// The members of inputs that are part of the request's path.
const IN_PATH: [(&str, &str); 3] = [
    (INPUT, "model_id"),
    (GUARDRAIL_INPUT, "guardrail_identifier"),
    (GUARDRAIL_INPUT, "guardrail_version"),
];

/// All shapes that are reachable from the operations' inputs and outputs.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) shapes: BTreeMap<String, Shape>,
    /// The event types and the shapes of their payloads.
    pub(crate) events: Vec<(String, String)>,
}

pub(crate) enum Shape {
    Struct(Vec<(String, Type)>),
    Union(Vec<(String, Type)>),
    /// A string with one of these values.
    Words(Vec<String>),
}

#[derive(Debug)]
pub(crate) enum Type {
    Text,
    /// A string with one of these values, according to the documentation only.
    Documented(Vec<String>),
    Integer,
    Float,
    Boolean,
    Blob,
    Document,
    List(Box<Type>),
    Map(Box<Type>),
    Shape(String),
}

impl Model {
    /// Reads the source, by paths below the SDK's `src`. Returns an error if the source is not as
    /// expected.
    pub(crate) fn read(read: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut model = Self::default();
        let mut open = [INPUT, GUARDRAIL_INPUT, GUARDRAIL_OUTPUT]
            .map(str::to_owned)
            .to_vec();

        let output = source(read, &format!("types/_{}.rs", snake(OUTPUT)))?;
        let frames = source(read, "event_stream_serde.rs")?;
        for (name, r#type) in variants(&output, OUTPUT)? {
            let Type::Shape(shape) = r#type else {
                return Err(format!("event {name}: no shape"));
            };
            if !frames.contains(&format!("\"{name}\" => {{")) {
                return Err(format!("event {name}: not read by the SDK"));
            }
            open.push(shape.clone());
            model.events.push((name, shape));
        }

        while let Some(name) = open.pop() {
            if model.shapes.contains_key(&name) {
                continue;
            }
            let shape = shape(read, &name)?;
            if let Shape::Struct(members) | Shape::Union(members) = &shape {
                open.extend(members.iter().filter_map(|(_, r#type)| r#type.shape()));
            }
            model.shapes.insert(name, shape);
        }
        Ok(model)
    }
}

impl Type {
    fn parse(text: &str) -> Result<Self, String> {
        let inside = |prefix: &str| text.strip_prefix(prefix)?.strip_suffix('>');
        if let Some(inner) = inside("::std::option::Option<") {
            return Self::parse(inner);
        }
        if let Some(inner) = inside("::std::boxed::Box<") {
            return Self::parse(inner);
        }
        if let Some(inner) = inside("::std::vec::Vec<") {
            return Ok(Self::List(Box::new(Self::parse(inner)?)));
        }
        if let Some(inner) = inside("::std::collections::HashMap<::std::string::String, ") {
            return Ok(Self::Map(Box::new(Self::parse(inner)?)));
        }
        Ok(match text {
            "::std::string::String" => Self::Text,
            "i32" | "i64" => Self::Integer,
            "f32" | "f64" => Self::Float,
            "bool" => Self::Boolean,
            "::aws_smithy_types::Blob" => Self::Blob,
            "::aws_smithy_types::Document" => Self::Document,
            _ => match text.strip_prefix("crate::types::") {
                Some(OPAQUE) => Self::Document,
                Some(shape) => Self::Shape(shape.to_owned()),
                None => return Err(format!("unknown type {text}")),
            },
        })
    }

    /// Returns the name of the shape in this type.
    pub(crate) fn shape(&self) -> Option<String> {
        match self {
            Self::List(inner) | Self::Map(inner) => inner.shape(),
            Self::Shape(name) => Some(name.clone()),
            _ => None,
        }
    }
}

fn source(read: &dyn Fn(&str) -> Option<String>, path: &str) -> Result<String, String> {
    read(path).ok_or_else(|| format!("the SDK has no {path}"))
}

fn shape(read: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<Shape, String> {
    let snake = snake(name);
    let path = match name {
        INPUT => format!("operation/converse_stream/_{snake}.rs"),
        GUARDRAIL_INPUT | GUARDRAIL_OUTPUT => format!("operation/apply_guardrail/_{snake}.rs"),
        _ => format!("types/_{snake}.rs"),
    };
    let types = source(read, &path)?;
    let from_words = format!("impl ::std::convert::From<&str> for {name} {{");
    if let Some((_, words)) = types.split_once(&from_words) {
        let words = words.split_once("other =>").map_or("", |(words, _)| words);
        return Ok(Shape::Words(names(words)));
    }

    let (members, shape) = if types.contains(&format!("pub enum {name} {{")) {
        (variants(&types, name)?, Shape::Union as fn(_) -> _)
    } else {
        (fields(&types, name)?, Shape::Struct as fn(_) -> _)
    };
    let derived: BTreeSet<&String> = members.iter().map(|(name, _)| name).collect();
    let serde = if name == GUARDRAIL_OUTPUT {
        let serde = source(read, "protocol_serde/shape_apply_guardrail.rs")?;
        // The names of errors are before it.
        let reader = serde.split_once("fn de_apply_guardrail(");
        reader.ok_or("no `fn de_apply_guardrail`")?.1.to_owned()
    } else {
        source(read, &format!("protocol_serde/shape_{snake}.rs"))?
    };
    let written = names(&serde);
    let written: BTreeSet<&String> = written.iter().filter(|name| *name != "__type").collect();
    if derived != written {
        return Err(format!(
            "{name}: the types say {derived:?}, the serialisers {written:?}"
        ));
    }
    Ok(shape(members))
}

/// The names in `key("name")` and in the match arms `"name" =>`.
fn names(source: &str) -> Vec<String> {
    let keys = source.split("key(\"").skip(1);
    let keys = keys.filter_map(|rest| rest.split_once('"').map(|(name, _)| name));
    let arms = source.lines().filter_map(|line| {
        let (name, rest) = line.trim_start().strip_prefix('"')?.split_once('"')?;
        rest.starts_with(" =>").then_some(name)
    });
    keys.chain(arms).map(str::to_owned).collect()
}

/// The lines of code between the braces of a declaration, one for each item.
fn body(source: &str, declaration: &str) -> Result<Vec<String>, String> {
    let (_, rest) = source
        .split_once(declaration)
        .ok_or_else(|| format!("no `{declaration}`"))?;
    let body = if rest.starts_with('}') {
        ""
    } else {
        rest.split_once("\n}").map_or("", |(body, _)| body)
    };
    let lines = body.lines().map(str::trim);
    let code = lines.filter(|line| !line.starts_with("//") && !line.starts_with("#["));
    // Types that are too long for a line continue on the next one.
    let code = code.collect::<Vec<_>>().join("\n").replace(":\n", ": ");
    let lines = code.lines().filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

fn fields(source: &str, name: &str) -> Result<Vec<(String, Type)>, String> {
    let mut fields = Vec::new();
    for line in body(source, &format!("pub struct {name} {{"))? {
        if line == "_request_id: Option<String>," {
            continue;
        }
        let field = line
            .strip_prefix("pub ")
            .and_then(|line| line.strip_suffix(','));
        let (field, r#type) = field
            .and_then(|field| field.split_once(": "))
            .ok_or_else(|| format!("{name}: no field: {line}"))?;
        if !IN_PATH.contains(&(name, field)) {
            let r#type = match (Type::parse(r#type)?, documented(source, field)) {
                (Type::Text, Some(words)) => Type::Documented(words),
                (r#type, _) => r#type,
            };
            let field = field.strip_prefix("r#").unwrap_or(field);
            fields.push((camel(field), r#type));
        }
    }
    Ok(fields)
}

/// The values of a string field whose documentation lists them.
fn documented(source: &str, field: &str) -> Option<Vec<String>> {
    let (before, _) = source.split_once(&format!("    pub {field}: "))?;
    let docs = before.rsplit("    pub ").next()?;
    let (_, list) = docs.split_once("Supported values are ")?;
    let (list, _) = list.split_once('.')?;
    let words = list.split("<code>").skip(1);
    let words = words.filter_map(|rest| rest.split_once("</code>"));
    Some(words.map(|(word, _)| word.to_owned()).collect())
}

fn variants(source: &str, name: &str) -> Result<Vec<(String, Type)>, String> {
    let mut variants = Vec::new();
    for line in body(source, &format!("pub enum {name} {{"))? {
        if line == "Unknown," {
            continue;
        }
        let (variant, r#type) = line
            .strip_suffix("),")
            .and_then(|line| line.split_once('('))
            .ok_or_else(|| format!("{name}: no variant: {line}"))?;
        variants.push((camel(&snake(variant)), Type::parse(r#type)?));
    }
    Ok(variants)
}

/// `ToolUse` -> `tool_use`
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// `tool_use` -> `toolUse`
fn camel(name: &str) -> String {
    let mut camel = String::new();
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c => camel.push(if std::mem::take(&mut upper) {
                c.to_ascii_uppercase()
            } else {
                c
            }),
        }
    }
    camel
}
