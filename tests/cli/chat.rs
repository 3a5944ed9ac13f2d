//! `chat`.

use bedrock_grpc::pb::{
    Citation, CitationLocation, DocumentRange, ReasoningContentBlock, ReasoningContentBlockDelta,
    ReasoningTextBlock, Role, StopReason, StreamInvokeRequest, TextBlockStart, ToolUseBlockDelta,
    ToolUseBlockStart, citation_location::Location, content_block,
    content_block_delta_event::Delta, content_block_start_event::Start, reasoning_content_block,
    reasoning_content_block_delta, system_content_block,
};

use super::{
    answers::{block, end, metadata, start, stop, text},
    gateway::Gateway,
    process::Process,
};

/// The texts of a request's messages, with their roles.
fn said(request: &StreamInvokeRequest) -> Vec<(Role, String)> {
    let messages = &request.input.as_ref().unwrap().messages;
    messages
        .iter()
        .map(|message| {
            let texts = message.content.iter().map(|block| match &block.content {
                Some(content_block::Content::Text(text)) => text.as_str(),
                other => panic!("not a text: {other:?}"),
            });
            (message.role(), texts.collect::<Vec<_>>().join("|"))
        })
        .collect()
}

fn user(text: &str) -> (Role, String) {
    (Role::User, text.to_owned())
}

fn assistant(text: &str) -> (Role, String) {
    (Role::Assistant, text.to_owned())
}

#[tokio::test]
async fn tokens_are_printed_as_they_arrive_and_the_summary_at_the_end() {
    let mut gateway = Gateway::start().await;
    let mut chat = Process::start(
        gateway.address,
        &[
            "chat",
            "--target",
            "claude",
            "Why",
            "blue?",
            "--system",
            "Be brief.",
            "--max-tokens",
            "9",
            "--temperature",
            "0.7",
            "--top-p",
            "0.9",
            "--stop",
            "END",
            "--stop",
            "\n",
        ],
    );
    chat.close_stdin();
    let (request, writer, _) = gateway.stream_call().await.accept();

    assert_eq!(request.target, "claude");
    assert_eq!(said(&request), [user("Why blue?")]);
    let input = request.input.unwrap();
    let system = system_content_block::Content::Text("Be brief.".to_owned());
    assert_eq!(input.system[0].content, Some(system));
    let config = input.inference_config.unwrap();
    assert_eq!(config.max_tokens, Some(9));
    assert_eq!(config.temperature, Some(0.7));
    assert_eq!(config.top_p, Some(0.9));
    assert_eq!(config.stop_sequences, ["END", "\n"]);

    writer.send([start(), text("Ray")]);
    chat.wrote("Ray").await;
    writer.send([text("leigh\u{1b}[1m")]);
    writer.send(end());
    drop(writer);
    let ended = chat.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // A pipe gets the text unchanged.
    assert_eq!(ended.stdout, "Rayleigh\u{1b}[1m\n");
    assert!(
        ended
            .stderr
            .starts_with("target us.anthropic.claude in us-east-1 · first token ")
    );
    assert!(
        ended.stderr.ends_with(" · 12 in, 87 out\n"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn what_is_piped_in_follows_the_prompt() {
    let mut gateway = Gateway::start().await;
    for (args, question) in [
        (&["chat", "--target", "t", "--quiet"][..], "line 1\nline 2"),
        (
            &["chat", "--target", "t", "--quiet", "Review:"],
            "Review:\n\nline 1\nline 2",
        ),
    ] {
        let chat = Process::with_input(gateway.address, args, "line 1\nline 2\n").await;
        let (request, writer, _) = gateway.stream_call().await.accept();
        assert_eq!(said(&request), [user(question)]);
        assert_eq!(request.input.unwrap().inference_config, None);
        writer.send([start(), text("fine\n")]);
        writer.send(end());
        drop(writer);
        let ended = chat.end().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "fine\n"));
        assert_eq!(ended.stderr, "");
    }
}

#[tokio::test]
async fn reasoning_tools_and_sources_have_their_places() {
    let mut gateway = Gateway::start().await;
    let chat = Process::with_input(
        gateway.address,
        &["chat", "--target", "t", "--show-reasoning"],
        "q",
    )
    .await;
    let (_, writer, _) = gateway.stream_call().await.accept();
    let thought = reasoning_content_block_delta::Delta::Text("Let me think.".to_owned());
    let source = Citation {
        title: Some("Optics".to_owned()),
        location: Some(CitationLocation {
            location: Some(Location::DocumentPage(DocumentRange {
                document_index: Some(0),
                start: Some(3),
                end: Some(4),
            })),
        }),
        ..Citation::default()
    };
    let tool = Start::ToolUse(ToolUseBlockStart {
        tool_use_id: "id".to_owned(),
        name: "get_weather".to_owned(),
        r#type: None,
    });
    let input = |input: &str| {
        Delta::ToolUse(ToolUseBlockDelta {
            input: input.to_owned(),
        })
    };
    writer.send([start()]);
    writer.send(block(
        0,
        None,
        [Delta::ReasoningContent(ReasoningContentBlockDelta {
            delta: Some(thought),
        })],
    ));
    let begun = || Some(Start::Text(TextBlockStart {}));
    writer.send(block(
        1,
        begun(),
        [
            Delta::Text("It scatters.".to_owned()),
            Delta::Citation(source.clone()),
        ],
    ));
    writer.send(block(
        2,
        begun(),
        [Delta::Text(" Truly.".to_owned()), Delta::Citation(source)],
    ));
    writer.send(block(
        3,
        Some(tool),
        [input("{\"city\":"), input("\"Paris\"}")],
    ));
    writer.send([stop(StopReason::ToolUse, "tool_use"), metadata()]);
    drop(writer);
    let ended = chat.end().await;
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.stdout,
        "It scatters.[1] Truly.[1]\n[tool call: get_weather] {\"city\":\"Paris\"}\n\n[1] Optics, pages 3 to 4\n"
    );
    assert!(
        ended
            .stderr
            .starts_with("Let me think.\nwarning: the model waits"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.ends_with("stopped: tool_use\n"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn json_prints_events() {
    let mut gateway = Gateway::start().await;
    let chat =
        Process::with_input(gateway.address, &["chat", "--target", "t", "--json"], "q").await;
    let (_, writer, _) = gateway.stream_call().await.accept();
    writer.send([start(), text("a")]);
    writer.send(end());
    drop(writer);
    let ended = chat.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let names = ended.stdout.lines().map(|line| {
        let event: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        // Members that the gateway adds to Bedrock's event.
        event
            .keys()
            .find(|name| *name != "gateway")
            .unwrap()
            .clone()
    });
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "messageStart",
            "contentBlockDelta",
            "messageStop",
            "metadata"
        ]
    );
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_cancels_the_call() {
    let mut gateway = Gateway::start().await;
    let mut chat = Process::with_input(gateway.address, &["chat", "--target", "t"], "q").await;
    let (_, writer, gone) = gateway.stream_call().await.accept();
    writer.send([start(), text("first")]);
    chat.wrote("first").await;
    chat.interrupt().await;
    gone.await.unwrap();
    let ended = chat.end().await;
    assert_eq!(ended.code, Some(130));
    assert_eq!(ended.stdout, "first\n");
    assert_eq!(ended.stderr, "cancelled\n");
}

#[tokio::test]
async fn a_reader_that_has_enough_cancels_the_call() {
    let mut gateway = Gateway::start().await;
    let mut chat = Process::with_input(gateway.address, &["chat", "--target", "t"], "q").await;
    let (_, writer, gone) = gateway.stream_call().await.accept();
    writer.send([start(), text("first")]);
    chat.wrote("first").await;
    chat.stop_reading();
    // This is more than a pipe holds. A process that another test is starting at this moment has
    // the pipe open, too, until it executes its program, so a short text could still be written.
    writer.send([text(&"second".repeat(20_000))]);
    gone.await.unwrap();
    let ended = chat.end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[cfg(unix)]
#[tokio::test]
async fn a_conversation_keeps_what_was_answered() {
    let mut gateway = Gateway::start().await;
    let mut chat = Process::start(
        gateway.address,
        &["chat", "--target", "a", "--interactive", "one"],
    );

    let (request, writer, _) = gateway.stream_call().await.accept();
    assert_eq!(said(&request), [user("one")]);
    writer.send([start(), text("1")]);
    writer.send(end());
    drop(writer);
    chat.wrote("1\n").await;

    // A failed turn is not kept.
    chat.write("/target b\n/system Be kind.\nfails\n").await;
    let call = gateway.stream_call().await;
    assert_eq!(call.request.target, "b");
    assert_eq!(call.request.input.as_ref().unwrap().system.len(), 1);
    call.refuse(tonic::Status::unavailable("not now"));

    // A turn that Ctrl-C interrupted is kept as interrupted, and the conversation continues.
    chat.write("two\n").await;
    let (request, writer, gone) = gateway.stream_call().await.accept();
    assert_eq!(said(&request), [user("one"), assistant("1"), user("two")]);
    writer.send([start(), text("half of")]);
    chat.wrote("half of").await;
    chat.interrupt().await;
    gone.await.unwrap();

    chat.write("three \\\nlines\n").await;
    let (request, writer, _) = gateway.stream_call().await.accept();
    let cut = "half of\n\n[The user cut this answer off here.]";
    assert_eq!(
        said(&request),
        [
            user("one"),
            assistant("1"),
            user("two"),
            assistant(cut),
            user("three \nlines")
        ]
    );
    writer.send([start(), text("3")]);
    writer.send(end());
    drop(writer);
    chat.wrote("3\n").await;

    chat.write("/usage\n/reset\n/nonsense\nfour\n").await;
    let (request, writer, _) = gateway.stream_call().await.accept();
    assert_eq!(said(&request), [user("four")]);
    writer.send([start(), text("4")]);
    writer.send(end());
    drop(writer);
    chat.wrote("4\n").await;

    let ended = chat.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for said in [
        "error: UNAVAILABLE: not now\n",
        "cancelled\n",
        "turns: 4 · 24 in, 174 out · turns without known usage: 2\n",
        "warning: /nonsense is not a command",
    ] {
        assert!(ended.stderr.contains(said), "{said} in {}", ended.stderr);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_at_the_prompt_leaves() {
    let mut gateway = Gateway::start().await;
    let mut chat = Process::start(
        gateway.address,
        &["chat", "--target", "t", "--interactive", "q"],
    );
    let (_, writer, _) = gateway.stream_call().await.accept();
    writer.send([start(), text("a")]);
    writer.send(end());
    drop(writer);
    chat.wrote("a\n").await;
    chat.interrupt().await;
    assert_eq!(chat.code().await, Some(0));
}

#[tokio::test]
async fn a_call_on_a_closing_connection_is_retried() {
    let mut gateway = Gateway::start_closing(1).await;
    let chat = Process::with_input(gateway.address, &["chat", "--target", "t"], "q").await;
    let (_, writer, _) = gateway.stream_call().await.accept();
    writer.send([start(), text("a")]);
    writer.send(end());
    drop(writer);
    assert_eq!(chat.end().await.code, Some(0));

    let gateway = Gateway::start_closing(2).await;
    let chat = Process::with_input(gateway.address, &["chat", "--target", "t"], "q").await;
    assert_eq!(chat.end().await.code, Some(69));
}

#[tokio::test]
async fn wrong_use_is_said_before_any_call() {
    let gateway = Gateway::start().await;
    for (args, message) in [
        (&["chat", "hello"][..], "--target"),
        (&["chat", "--target", "t"], "no prompt"),
        (
            &["chat", "--target", "t", "--json", "--interactive"],
            "cannot be used with",
        ),
        (
            &["chat", "--target", "t", "--max-tokens", "0", "q"],
            "--max-tokens",
        ),
        (
            &["chat", "--target", "t", "--deadline", "5", "q"],
            "such as 30s",
        ),
        (
            &["chat", "--target", "t", "--header", "a", "q"],
            "NAME:VALUE",
        ),
        (
            &["chat", "--target", "t", "--address", "localhost:1", "q"],
            "http://HOST:PORT",
        ),
    ] {
        let ended = Process::with_input(gateway.address, args, "")
            .await
            .end()
            .await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(message), "{args:?}: {ended:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn reasoning_goes_back_with_its_signature_and_in_its_place() {
    use reasoning_content_block::Content as Reasoning;
    use reasoning_content_block_delta::Delta as Piece;

    let mut gateway = Gateway::start().await;
    let mut chat = Process::start(
        gateway.address,
        &["chat", "--target", "a", "--interactive", "one"],
    );
    let (_, writer, _) = gateway.stream_call().await.accept();
    let reasoning =
        |piece| Delta::ReasoningContent(ReasoningContentBlockDelta { delta: Some(piece) });
    writer.send([start()]);
    writer.send(block(
        0,
        None,
        ["Think", "ing"]
            .map(|text| reasoning(Piece::Text(text.to_owned())))
            .into_iter()
            .chain([reasoning(Piece::Signature("proof".to_owned()))]),
    ));
    writer.send(block(
        1,
        None,
        [reasoning(Piece::RedactedContent(vec![1, 2].into()))],
    ));
    writer.send(block(2, None, [Delta::Text("1".to_owned())]));
    writer.send(end());
    drop(writer);
    chat.wrote("1\n").await;

    chat.write("two\n").await;
    let (request, writer, _) = gateway.stream_call().await.accept();
    let kept: Vec<_> = request.input.unwrap().messages[1]
        .content
        .iter()
        .map(|block| block.content.clone().unwrap())
        .collect();
    let of = |content| {
        content_block::Content::ReasoningContent(ReasoningContentBlock {
            content: Some(content),
        })
    };
    assert_eq!(
        kept,
        [
            of(Reasoning::ReasoningText(ReasoningTextBlock {
                text: "Thinking".to_owned(),
                signature: Some("proof".to_owned()),
            })),
            of(Reasoning::RedactedContent(vec![1, 2].into())),
            content_block::Content::Text("1".to_owned()),
        ]
    );
    writer.send([start(), text("2")]);
    writer.send(end());
    drop(writer);
    chat.wrote("2\n").await;
    assert_eq!(chat.end().await.code, Some(0));
}
