//! Samples of a shape that together contain each of its members, variants and values.

use serde_json::{Map, Value, json};

use crate::model::{Model, Shape, Type};

/// Samples of the shape with this name.
pub(crate) fn of(model: &Model, name: &str) -> Vec<Value> {
    match &model.shapes[name] {
        Shape::Struct(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, r#type)| (name, of_type(model, r#type)))
                .collect();
            let count = members.iter().map(|(_, samples)| samples.len()).max();
            let sample = |turn: usize| {
                let members = members.iter().map(|(name, samples)| {
                    let sample = samples[turn % samples.len()].clone();
                    ((*name).clone(), sample)
                });
                Value::Object(members.collect::<Map<_, _>>())
            };
            (0..count.unwrap_or(1)).map(sample).collect()
        }
        Shape::Union(kinds) => {
            let samples = kinds.iter().flat_map(|(name, r#type)| {
                let samples = of_type(model, r#type).into_iter();
                samples.map(move |sample| json!({ name: sample }))
            });
            samples.collect()
        }
        Shape::Words(words) => words.iter().map(|word| json!(word)).collect(),
    }
}

fn of_type(model: &Model, r#type: &Type) -> Vec<Value> {
    match r#type {
        Type::Text => vec![json!("x")],
        Type::Documented(words) => words.iter().map(|word| json!(word)).collect(),
        Type::Integer => vec![json!(1)],
        Type::Float => vec![json!(0.5)],
        Type::Boolean => vec![json!(true)],
        Type::Blob => vec![json!("AAEC")],
        Type::Document => vec![json!({"a": [1]})],
        Type::List(element) => vec![Value::Array(of_type(model, element))],
        Type::Map(value) => {
            let values = of_type(model, value).into_iter().enumerate();
            let members = values.map(|(index, value)| (format!("key{index}"), value));
            vec![Value::Object(members.collect())]
        }
        Type::Shape(name) => of(model, name),
    }
}
