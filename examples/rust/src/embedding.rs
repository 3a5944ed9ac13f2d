//! Embeddings of texts: a call in the model's own format, here that of Titan Text Embeddings V2.

use serde::Deserialize;
use serde_json::json;
use tonic::Status;

use crate::{connection::ModelClient, pb::InvokeModelRequest};

#[derive(Deserialize)]
struct TitanAnswer {
    embedding: Vec<f64>,
}

pub async fn embedding(client: &ModelClient, target: &str, text: &str) -> Result<Vec<f64>, Status> {
    let body = json!({"inputText": text, "dimensions": 256, "normalize": true});
    let request = InvokeModelRequest {
        target: target.to_owned(),
        body: body.to_string().into_bytes(),
        ..InvokeModelRequest::default()
    };
    let reply = client.clone().invoke_model(request).await?.into_inner();
    let answer: TitanAnswer = serde_json::from_slice(&reply.body)
        .map_err(|error| Status::internal(format!("not an answer of Titan: {error}")))?;
    Ok(answer.embedding)
}

/// The one of the others whose meaning is nearest to the text's, if there is one. Makes one call
/// for each text.
pub async fn nearest<'a>(
    client: &ModelClient,
    target: &str,
    text: &str,
    others: &'a [String],
) -> Result<Option<&'a str>, Status> {
    let wanted = embedding(client, target, text).await?;
    let (mut best, mut found) = (f64::NEG_INFINITY, None);
    for other in others {
        let similarity = similarity(&wanted, &embedding(client, target, other).await?);
        if similarity > best {
            (best, found) = (similarity, Some(other.as_str()));
        }
    }
    Ok(found)
}

/// The cosine similarity. Normalized vectors have length 1, so it is their dot product.
fn similarity(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
