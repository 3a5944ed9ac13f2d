//! Sorts documents by their relevance to a query, as Cohere Rerank does. The relevance is the
//! similarity of the embeddings, so the same request always has the same answer.

use serde_json::{Value, json};

use super::{
    native_answer::{NativeAnswer, malformed},
    titan::similarity,
};
use crate::script::ApiError;

/// The maximum number of documents of a request.
const MAX_DOCUMENTS: usize = 1_000;
const MEMBERS: [&str; 5] = [
    "query",
    "documents",
    "top_n",
    "api_version",
    "max_tokens_per_doc",
];

pub(super) fn answer(request: &Value) -> Result<NativeAnswer, ApiError> {
    let members = request
        .as_object()
        .ok_or_else(|| malformed("expected type: JSONObject"))?;
    if let Some(unknown) = members
        .keys()
        .find(|name| !MEMBERS.contains(&name.as_str()))
    {
        return Err(malformed(&format!(
            "#: extraneous key [{unknown}] is not permitted"
        )));
    }
    let query = members.get("query").and_then(Value::as_str);
    let query = query
        .filter(|query| !query.is_empty())
        .ok_or_else(|| malformed("#/query: expected type: String"))?;
    let documents = members.get("documents").and_then(Value::as_array);
    let documents = documents
        .filter(|documents| (1..=MAX_DOCUMENTS).contains(&documents.len()))
        .ok_or_else(|| {
            malformed(&format!(
                "#/documents: expected 1 to {MAX_DOCUMENTS} documents"
            ))
        })?;
    let most = match members.get("top_n") {
        None => documents.len(),
        Some(top) => top
            .as_u64()
            .and_then(|top| usize::try_from(top).ok())
            .filter(|top| *top > 0)
            .ok_or_else(|| malformed("#/top_n: expected a positive number"))?,
    };
    let mut ranked = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let text = match document {
            Value::String(text) => text.clone(),
            Value::Object(_) => document.to_string(),
            _ => {
                return Err(malformed(&format!(
                    "#/documents/{index}: expected type: String"
                )));
            }
        };
        ranked.push((index, similarity(query, &text)));
    }
    // Equal documents keep their order.
    ranked.sort_by(|one, other| other.1.total_cmp(&one.1));
    let results: Vec<_> = ranked
        .iter()
        .take(most)
        .map(|(index, relevance)| json!({"index": index, "relevance_score": relevance}))
        .collect();
    Ok(NativeAnswer::without_tokens(json!({ "results": results })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_document_is_first() {
        let request = json!({
            "query": "How do I reset my password?",
            "documents": ["Opening hours of the canteen", "Resetting a forgotten password", "?"],
            "top_n": 2,
        });
        let body = answer(&request).unwrap().body;
        let results = body["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        assert_eq!(results[0]["index"], 1);
        let relevance = |at: usize| results[at]["relevance_score"].as_f64().unwrap();
        assert!(relevance(0) > relevance(1), "{body}");
    }

    #[test]
    fn other_bodies_are_refused() {
        for request in [
            json!([]),
            json!({"query": "a"}),
            json!({"query": "a", "documents": []}),
            json!({"query": "", "documents": ["a"]}),
            json!({"query": "a", "documents": [1]}),
            json!({"query": "a", "documents": ["a"], "top_n": 0}),
            json!({"query": "a", "documents": ["a"], "temperature": 0}),
        ] {
            answer(&request).expect_err(&request.to_string());
        }
    }
}
