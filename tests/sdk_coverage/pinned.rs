//! The shapes in AWS's own model, read from the list of a pinned version: `aws_model.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::{Model, OPAQUE, Shape, Type};

/// AWS's own model.
pub(crate) struct Pinned {
    /// The operations that the gateway serves.
    pub(crate) operations: BTreeMap<String, Operation>,
    pub(crate) model: Model,
    /// The headers of each shape that has any, in lower case.
    pub(crate) headers: BTreeMap<String, Vec<String>>,
}

/// The shapes of an operation.
pub(crate) struct Operation {
    pub(crate) input: String,
    pub(crate) output: String,
}

impl Pinned {
    /// Reads the list. Returns an error if it is not as `aws_model renew` writes it.
    pub(crate) fn read(list: &str) -> Result<Self, String> {
        let list: Value = serde_json::from_str(list).map_err(|error| error.to_string())?;
        let mut operations = BTreeMap::new();
        for (name, operation) in object(&list, "operations")? {
            let operation = Operation {
                input: text(operation, "input")?,
                output: text(operation, "output")?,
            };
            operations.insert(name.clone(), operation);
        }
        let mut model = Model::default();
        let mut all = BTreeMap::new();
        let mut headers = BTreeMap::new();
        for (name, described) in object(&list, "shapes")? {
            all.insert(name.clone(), shape(described)?);
            if let Some(Value::Object(found)) = described.get("headers") {
                headers.insert(name.clone(), found.keys().cloned().collect());
            }
        }
        let shapes = operations.values();
        let mut open: Vec<_> = shapes
            .flat_map(|operation| [operation.input.clone(), operation.output.clone()])
            .collect();
        while let Some(name) = open.pop() {
            // A shape that was reached before is no longer in `all`.
            let Some(shape) = all.remove(&name) else {
                continue;
            };
            if let Shape::Struct(members) | Shape::Union(members) = &shape {
                open.extend(members.iter().filter_map(|(_, r#type)| r#type.shape()));
            }
            model.shapes.insert(name, shape);
        }
        if let Some(Shape::Union(events)) = model.shapes.get("ConverseStreamOutput") {
            for (name, r#type) in events {
                // The other members of this union are errors, which are not events for the proto.
                if let Type::Shape(shape) = r#type
                    && !shape.ends_with("Exception")
                {
                    model.events.push((name.clone(), shape.clone()));
                }
            }
        }
        Ok(Self {
            operations,
            model,
            headers,
        })
    }
}

fn object<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>, String> {
    let member = value.get(name).and_then(Value::as_object);
    member.ok_or_else(|| format!("no object {name}"))
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    let member = value.get(name).and_then(Value::as_str);
    member
        .map(str::to_owned)
        .ok_or_else(|| format!("no text {name}"))
}

fn shape(described: &Value) -> Result<Shape, String> {
    if let Some(words) = described.get("enum") {
        return Ok(Shape::Words(words_of(words)?));
    }
    if let Ok(members) = object(described, "union") {
        return Ok(Shape::Union(members_of(members)?));
    }
    Ok(Shape::Struct(members_of(object(described, "structure")?)?))
}

fn members_of(members: &Map<String, Value>) -> Result<Vec<(String, Type)>, String> {
    let members = members.iter();
    members
        .map(|(name, described)| Ok((name.clone(), type_of(described)?)))
        .collect()
}

fn words_of(words: &Value) -> Result<Vec<String>, String> {
    serde_json::from_value(words.clone()).map_err(|error| error.to_string())
}

fn type_of(described: &Value) -> Result<Type, String> {
    Ok(match described {
        Value::Array(items) => match items.as_slice() {
            [item] => Type::List(Box::new(type_of(item)?)),
            _ => return Err(format!("no type: {described}")),
        },
        Value::Object(members) => {
            if let Some(value) = members.get("map") {
                Type::Map(Box::new(type_of(value)?))
            } else if let Some(words) = members.get("documented") {
                Type::Documented(words_of(words)?)
            } else {
                return Err(format!("no type: {described}"));
            }
        }
        Value::String(name) => match name.as_str() {
            "string" => Type::Text,
            "integer" => Type::Integer,
            "float" => Type::Float,
            "boolean" => Type::Boolean,
            "blob" => Type::Blob,
            "document" | OPAQUE => Type::Document,
            shape => Type::Shape(shape.to_owned()),
        },
        _ => return Err(format!("no type: {described}")),
    })
}
