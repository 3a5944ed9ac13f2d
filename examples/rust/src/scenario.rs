//! Runs the rows of examples/scenarios.json and prints each result as a line of JSON.
//! tests/clients/run compares them.

use std::{
    collections::HashMap,
    env,
    error::Error,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tonic::{Request, Status, transport::Endpoint};

use crate::{
    answer::{Answer, Reading},
    channel::ConfiguredChannel,
    connection::{Client, ModelClient, connect, default_service_config, inference, models},
    conversation::{conversation, png, text, tool, tool_result, user},
    embedding::nearest,
    failure::{Failure, code_name},
    pb::{
        ConverseInput, InferenceConfiguration, InvokeRequest, StreamInvokeRequest, TokenUsage,
        content_block::Content, converse_input::AdditionalModelRequestFields,
    },
    pods::Pods,
};

#[derive(Deserialize)]
struct File {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    method: Option<String>,
    target: String,
    text: String,
    #[serde(default)]
    nearest_of: Vec<String>,
    times: Option<usize>,
    image: Option<String>,
    blank_images: Option<BlankImages>,
    max_tokens: Option<i32>,
    model_fields: Option<Value>,
    deadline_ms: Option<u64>,
    cancel_after_deltas: Option<usize>,
    #[serde(default)]
    tools: Vec<RowTool>,
    connection: Option<Own>,
}

#[derive(Deserialize)]
struct BlankImages {
    count: usize,
    bytes: usize,
}

#[derive(Deserialize)]
struct RowTool {
    name: String,
    description: String,
    input_schema: Box<RawValue>,
    result: Box<RawValue>,
}

#[derive(Deserialize)]
struct Own {
    address: Option<String>,
    service_config: Option<Value>,
    keepalive_seconds: Option<u64>,
    #[serde(default)]
    bare: bool,
}

pub async fn run(address: &str, file: &str, names: &[String]) -> Result<(), Box<dyn Error>> {
    let keepalive = Duration::from_secs(30);
    let channel = connect(address, default_service_config()?, keepalive).await?;
    let (shared, models) = (inference(channel.clone()), models(channel));
    let folder = Path::new(file).parent().unwrap_or(Path::new("."));
    let File { rows } = serde_json::from_slice(&fs::read(file)?)?;
    for row in rows {
        if !names.is_empty() && !names.contains(&row.name) {
            continue;
        }
        let client = match &row.connection {
            None => shared.clone(),
            // The library's default, without what docs/clients.md recommends.
            Some(own) if own.bare => {
                let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
                let none = serde_json::from_value(json!({}))?;
                let pods = Pods::one(endpoint.connect_lazy());
                Client::new(ConfiguredChannel::new(pods, none, None))
            }
            Some(own) => {
                let to = own.address.as_ref().map(env::var).transpose()?;
                let keepalive = own.keepalive_seconds.map_or(keepalive, Duration::from_secs);
                let config = match &own.service_config {
                    Some(config) => serde_json::from_value(config.clone())?,
                    None => default_service_config()?,
                };
                inference(connect(to.as_deref().unwrap_or(address), config, keepalive).await?)
            }
        };
        println!("{}", row.outcome(&client, &models, folder).await?);
    }
    Ok(())
}

impl Row {
    async fn outcome(
        &self,
        client: &Client,
        models: &ModelClient,
        folder: &Path,
    ) -> std::io::Result<Value> {
        let begun = Instant::now();
        let (mut answer, mut calls, mut came) = (Answer::default(), Vec::new(), Ok(()));
        for _ in 0..self.times.unwrap_or(1) {
            came = if self.method.as_deref() == Some("InvokeModel") {
                nearest(models, &self.target, &self.text, &self.nearest_of)
                    .await
                    .map(|found| answer.text = found.unwrap_or_default().to_owned())
            } else {
                let input = self.input(folder)?;
                self.ask(client, input, &mut answer, &mut calls).await
            };
            if came.is_err() {
                break;
            }
        }
        let mut result = json!({
            "row": self.name,
            "code": "OK",
            "text": answer.text,
            "deltas": answer.deltas,
            "stop_reason": answer.stop_reason,
            "usage": answer.usage.as_ref().map(tokens),
            "tool_calls": calls,
            "took_ms": begun.elapsed().as_millis() as u64,
        });
        if let Err(status) = came {
            let failure = Failure::from(&status);
            result["code"] = code_name(failure.code).into();
            result["reason"] = failure.reason.into();
            result["fields"] = failure.fields.into();
            result["retry_delay_ms"] = failure.retry_delay.map(|it| it.as_millis() as u64).into();
            if let Some(upstream) = failure.upstream {
                let phase = upstream.phase().as_str_name();
                result["upstream"] = json!({"exception": upstream.exception, "phase": phase});
            }
        }
        Ok(result)
    }

    fn timed<T>(&self, request: T) -> Request<T> {
        let mut request = Request::new(request);
        if let Some(deadline) = self.deadline_ms {
            request.set_timeout(Duration::from_millis(deadline));
        }
        request
    }

    fn input(&self, folder: &Path) -> std::io::Result<ConverseInput> {
        let mut blocks = Vec::new();
        if let Some(image) = &self.image {
            blocks.push(png(fs::read(folder.join(image))?));
        }
        if let Some(BlankImages { count, bytes }) = self.blank_images {
            blocks.extend((0..count).map(|_| png(vec![0; bytes])));
        }
        blocks.push(text(&self.text));
        let tools = self.tools.iter();
        let tools = tools
            .map(|it| tool(&it.name, &it.description, &it.input_schema))
            .collect();
        let mut input = conversation(vec![user(blocks)], tools);
        // Finds the row's calls in the emulator's log.
        input.request_metadata = HashMap::from([("row".to_owned(), self.name.clone())]);
        input.inference_config = self.max_tokens.map(|max_tokens| InferenceConfiguration {
            max_tokens: Some(max_tokens),
            ..InferenceConfiguration::default()
        });
        input.additional_model_request_fields = self.model_fields.as_ref().map(|fields| {
            AdditionalModelRequestFields::AdditionalModelRequestFieldsJson(fields.to_string())
        });
        Ok(input)
    }

    async fn ask(
        &self,
        client: &Client,
        input: ConverseInput,
        answer: &mut Answer,
        calls: &mut Vec<Value>,
    ) -> Result<(), Status> {
        let target = self.target.clone();
        if self.method.as_deref() == Some("Invoke") {
            let request = InvokeRequest {
                target,
                input: Some(input),
            };
            let request = self.timed(request);
            let reply = client.clone().invoke(request).await?.into_inner();
            for block in reply.message.unwrap_or_default().content {
                if let Some(Content::Text(text)) = block.content {
                    answer.text.push_str(&text);
                }
            }
            answer.stop_reason = reply.stop_reason_name;
            answer.usage = reply.metadata.and_then(|metadata| metadata.usage);
            return Ok(());
        }

        let mut request = StreamInvokeRequest {
            target,
            input: Some(input),
            ..StreamInvokeRequest::default()
        };
        loop {
            *answer = Answer::default();
            let request_now = self.timed(request.clone());
            let events = client
                .clone()
                .stream_invoke(request_now)
                .await?
                .into_inner();
            let mut deltas = 0;
            let until = |_: &str| {
                deltas += 1;
                if Some(deltas) == self.cancel_after_deltas {
                    Reading::Enough
                } else {
                    Reading::On
                }
            };
            if answer.read(events, until).await? == Reading::Enough {
                // tonic has no status for it, because the call was dropped.
                return Err(Status::cancelled("dropped by the client"));
            }
            let mut results = Vec::new();
            for tool_use in answer.tool_uses() {
                let head: String = tool_use.input.chars().take(20).collect();
                calls.push(json!({"name": tool_use.name, "input": head, "input_bytes": tool_use.input.len()}));
                let tool = self.tools.iter().find(|tool| tool.name == tool_use.name);
                results.extend(tool.map(|tool| tool_result(&tool_use.id, &tool.result)));
            }
            if answer.stop_reason != "tool_use" {
                return Ok(());
            }
            let turns = [answer.message(), user(results)];
            request.input.get_or_insert_default().messages.extend(turns);
        }
    }
}

fn tokens(usage: &TokenUsage) -> Value {
    json!([
        usage.input_tokens(),
        usage.output_tokens(),
        usage.total_tokens()
    ])
}
