//! A client of bedrock-grpc. The first argument chooses the example: stream, cancel, deadline,
//! tools, image, embed, errors or scenario.

mod answer;
mod channel;
mod connection;
mod conversation;
mod embedding;
mod failure;
mod pods;
mod scenario;
mod service_config;

/// Generated from proto/.
#[allow(clippy::enum_variant_names, reason = "generated")]
mod pb {
    tonic::include_proto!("bedrock.inference.v1");
}

use std::{env, error::Error, fs, io::Write, time::Duration};

use serde_json::{Value, json};
use tonic::{Request, Status};

use crate::{
    answer::{Answer, Reading},
    connection::{Client, ModelClient, connect, default_service_config, inference, models},
    conversation::{conversation, png, text, tool, tool_result, user},
    embedding::nearest,
    failure::{Failure, code_name},
    pb::{ConverseInput, StreamInvokeRequest},
};

/// A model that is slow, or fails: `bedrock-grpc emulate --help` lists all faults.
const FAULT: &str = "us.amazon.nova-lite-v1:0.fault-";

const KEEPALIVE: Duration = Duration::from_secs(30);

type Outcome = Result<(), Box<dyn Error>>;

fn ask(target: &str, input: ConverseInput) -> StreamInvokeRequest {
    StreamInvokeRequest {
        target: target.to_owned(),
        input: Some(input),
        ..StreamInvokeRequest::default()
    }
}

fn question(question: &str) -> ConverseInput {
    conversation(vec![user([text(question)])], Vec::new())
}

fn show(token: &str) -> Reading {
    print!("{token}");
    let _ = std::io::stdout().flush();
    Reading::On
}

/// Prints tokens as they arrive.
async fn stream(client: &Client) -> Outcome {
    let request = ask("claude", question("Why is the sky blue?"));
    let events = client.clone().stream_invoke(request).await?.into_inner();
    let mut answer = Answer::default();
    answer.read(events, show).await?;
    let tokens = answer.usage.unwrap_or_default().total_tokens();
    println!("\n{}, {tokens} tokens", answer.stop_reason);
    Ok(())
}

/// Stops after three tokens. The gateway closes the call to Bedrock, so that the model can stop.
async fn cancel(client: &Client) -> Outcome {
    let request = ask("claude", question("Count to 100"));
    let events = client.clone().stream_invoke(request).await?.into_inner();
    let mut tokens = 0;
    let three = |token: &str| {
        show(token);
        tokens += 1;
        if tokens == 3 {
            Reading::Enough
        } else {
            Reading::On
        }
    };
    let reading = Answer::default().read(events, three).await?;
    println!("\n{reading:?}");
    Ok(())
}

/// Allows one second for the whole call. Output that arrived until then is kept.
async fn deadline(client: &Client) -> Outcome {
    let target = format!("{FAULT}stall-after-3");
    let mut request = Request::new(ask(&target, question("Count to 100")));
    request.set_timeout(Duration::from_secs(1));
    let events = client.clone().stream_invoke(request).await?.into_inner();
    let mut answer = Answer::default();
    let ended = match answer.read(events, show).await {
        Ok(_) => "the whole answer".to_owned(),
        Err(status) => code_name(status.code()),
    };
    println!("\n{ended} after {:?}", answer.text);
    Ok(())
}

/// The model uses a tool, the client runs it, the model continues.
async fn tools(client: &Client) -> Outcome {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let weather = tool("get_weather", "The weather in a city", schema);
    let asked = user([text("What is the weather in Paris?")]);
    let mut input = conversation(vec![asked], vec![weather]);
    loop {
        let request = ask("claude", input.clone());
        let events = client.clone().stream_invoke(request).await?.into_inner();
        let mut answer = Answer::default();
        answer.read(events, show).await?;
        println!();
        if answer.stop_reason != "tool_use" {
            return Ok(());
        }
        let mut results = Vec::new();
        for tool_use in answer.tool_uses() {
            println!("[{} {}]", tool_use.name, tool_use.input);
            let input: Value = serde_json::from_str(&tool_use.input)?;
            let result = json!({"city": input["city"], "celsius": 21});
            results.push(tool_result(&tool_use.id, result));
        }
        input.messages.extend([answer.message(), user(results)]);
    }
}

/// Sends an image with the question.
async fn image(client: &Client) -> Outcome {
    let picture = png(fs::read("../image.png")?);
    let asked = user([picture, text("What is this?")]);
    let request = ask("claude", conversation(vec![asked], Vec::new()));
    let events = client.clone().stream_invoke(request).await?.into_inner();
    Answer::default().read(events, show).await?;
    println!();
    Ok(())
}

/// Prints which of two texts is nearer to a third one.
async fn embed(client: &ModelClient) -> Outcome {
    let others = ["quarterly tax report", "a lighthouse by the sea"].map(str::to_owned);
    let found = nearest(client, "embed", "ships look for the lighthouse", &others).await?;
    println!("{}", found.unwrap_or_default());
    Ok(())
}

/// Shows a rate limit, an error in mid-stream, and an invalid request.
async fn errors(client: &Client) -> Outcome {
    let throttled = format!("{FAULT}throttling-x-amz-retry-after");
    let interrupted = format!("{FAULT}stream-model-stream-error-after-3");
    for target in [throttled.as_str(), interrupted.as_str(), "claud"] {
        let answered: Result<Reading, Status> = async {
            let request = ask(target, question("Count to 10"));
            let events = client.clone().stream_invoke(request).await?.into_inner();
            Answer::default().read(events, |_| Reading::On).await
        }
        .await;
        if let Err(status) = answered {
            println!("{}", Failure::from(&status));
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Outcome {
    let address = env::var("GATEWAY_GRPC").unwrap_or_else(|_| "localhost:50051".to_owned());
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [name, file, rows @ ..] = arguments.as_slice()
        && name == "scenario"
    {
        return scenario::run(&address, file, rows).await;
    }
    let channel = connect(&address, default_service_config()?, KEEPALIVE).await?;
    let client = inference(channel.clone());
    match arguments.first().map_or("stream", String::as_str) {
        "stream" => stream(&client).await,
        "cancel" => cancel(&client).await,
        "deadline" => deadline(&client).await,
        "tools" => tools(&client).await,
        "image" => image(&client).await,
        "embed" => embed(&models(channel)).await,
        "errors" => errors(&client).await,
        name => Err(format!("there is no {name:?}").into()),
    }
}
