//! A client of bedrock-grpc: `cargo run -- stream|cancel|deadline|tools|image|errors|scenario`.

mod answer;
mod connection;
mod conversation;
mod failure;
mod scenario;

/// Generated from proto/.
#[allow(clippy::enum_variant_names, reason = "generated")]
mod pb {
    tonic::include_proto!("bedrock.inference.v1");
}

use std::{env, error::Error, fs, io::Write, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    answer::{Answer, Reading},
    connection::{Client, connect, stream_invoke},
    conversation::{conversation, png, text, tool, tool_result, user},
    failure::Failure,
    pb::{ConverseInput, StreamInvokeRequest},
};

/// A model that is slow, or fails: `bedrock-grpc emulate --help` lists what there is.
const FAULT: &str = "us.amazon.nova-lite-v1:0.fault-";

type Outcome = Result<(), Box<dyn Error>>;

fn ask(target: &str, input: ConverseInput) -> StreamInvokeRequest {
    StreamInvokeRequest {
        target: target.to_owned(),
        input: Some(input),
        heartbeat_interval: None,
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

/// Tokens as they come.
async fn stream(client: &Client) -> Outcome {
    let request = ask("claude", question("Why is the sky blue?"));
    let mut answer = Answer::default();
    let events = stream_invoke(client, &request, None).await?;
    answer.read(events, show).await?;
    let tokens = answer.usage.unwrap_or_default().total_tokens();
    println!("\n{}, {tokens} tokens", answer.stop_reason);
    Ok(())
}

/// Enough after three tokens. The gateway closes Bedrock's call, so no more is billed.
async fn cancel(client: &Client) -> Outcome {
    let request = ask("claude", question("Count to 100"));
    let events = stream_invoke(client, &request, None).await?;
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

/// One second for the whole call. What came until then is kept.
async fn deadline(client: &Client) -> Outcome {
    let limit = Duration::from_secs(1);
    let request = ask(&format!("{FAULT}stall-after-3"), question("Count to 100"));
    let mut answer = Answer::default();
    // tonic itself does not end a stream at its deadline: the gateway does, and this if the gateway can't.
    let call = timeout(limit, async {
        let events = stream_invoke(client, &request, Some(limit)).await?;
        answer.read(events, show).await
    });
    let ended = match call.await {
        Ok(Ok(_)) => "the whole answer".to_owned(),
        Ok(Err(status)) => Failure::from(&status).code_name(),
        Err(elapsed) => elapsed.to_string(),
    };
    println!("\n{ended} after {:?}", answer.text);
    Ok(())
}

/// The model calls a tool, we run it, the model goes on.
async fn tools(client: &Client) -> Outcome {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let weather = tool("get_weather", "The weather in a city", schema);
    let asked = user([text("What is the weather in Paris?")]);
    let mut request = ask("claude", conversation(vec![asked], vec![weather]));
    loop {
        let mut answer = Answer::default();
        let events = stream_invoke(client, &request, None).await?;
        answer.read(events, show).await?;
        println!();
        if answer.stop_reason != "tool_use" {
            return Ok(());
        }
        let mut results = Vec::new();
        for tool_use in answer.tool_uses.values() {
            println!("[{} {}]", tool_use.name, tool_use.input);
            let input: Value = serde_json::from_str(&tool_use.input)?;
            let result = json!({"city": input["city"], "celsius": 21});
            results.push(tool_result(&tool_use.id, result));
        }
        let turns = [answer.message(), user(results)];
        request.input.get_or_insert_default().messages.extend(turns);
    }
}

/// A picture beside the question.
async fn image(client: &Client) -> Outcome {
    let picture = png(fs::read("../image.png")?);
    let asked = user([picture, text("What is this?")]);
    let request = ask("claude", conversation(vec![asked], Vec::new()));
    let events = stream_invoke(client, &request, None).await?;
    Answer::default().read(events, show).await?;
    println!();
    Ok(())
}

/// A rate limit, an error in mid-stream, and a request that is wrong.
async fn errors(client: &Client) -> Outcome {
    let throttled = format!("{FAULT}throttling-x-amz-retry-after");
    let broken_off = format!("{FAULT}stream-model-stream-error-after-3");
    for target in [throttled.as_str(), broken_off.as_str(), "claud"] {
        let request = ask(target, question("Count to 10"));
        let came = match stream_invoke(client, &request, None).await {
            Ok(events) => Answer::default().read(events, |_| Reading::On).await,
            Err(status) => Err(status),
        };
        if let Err(status) = came {
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
    let client = connect(&address, Duration::from_secs(30))?;
    match arguments.first().map_or("stream", String::as_str) {
        "stream" => stream(&client).await,
        "cancel" => cancel(&client).await,
        "deadline" => deadline(&client).await,
        "tools" => tools(&client).await,
        "image" => image(&client).await,
        "errors" => errors(&client).await,
        name => Err(format!("there is no {name:?}").into()),
    }
}
