//! Sends one question and prints its answer.

use std::io;

use super::{conversation::Answer, render::Renderer, session::Session, summary::Summary};
use crate::{
    cli::{client::Gateway, exit::Exit, failure::Failure, output::Output},
    pb::StreamInvokeRequest,
    translate::fold::Fold,
};

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer is complete.
    Whole,
    /// Ctrl-C ended the answer.
    Cut,
    /// The call failed. The failure has been printed.
    Failed(Exit),
}

/// Sends a question and prints the answer while it arrives. Unless the call fails, adds both to the
/// conversation. Ctrl-C cancels the call.
///
/// Fails if standard output cannot be written, and then cancels the call.
pub(super) async fn take(
    session: &mut Session,
    question: &str,
    output: &mut Output,
) -> io::Result<(Outcome, Summary)> {
    let request = session.conversation.request(question);
    let mut renderer = Renderer::new(session.show_reasoning);
    let mut summary = Summary::start();
    let mut fold = Fold::default();
    let ended = tokio::select! {
        result = answer(&session.gateway, &request, &mut renderer, &mut summary, &mut fold, output) => Some(result?),
        () = session.interrupts.pressed() => None,
    };
    renderer.finish(output)?;
    let outcome = match ended {
        Some(Ok(())) => Outcome::Whole,
        Some(Err(failure)) => {
            failure.print(output);
            return Ok((Outcome::Failed(failure.exit()), summary));
        }
        None => Outcome::Cut,
    };
    let answer = Answer {
        blocks: fold.finish().message.unwrap_or_default().content,
        cut: outcome == Outcome::Cut,
    };
    session.conversation.keep(question, answer);
    if outcome == Outcome::Cut {
        output.note("cancelled");
    } else if session.show_summary {
        output.note(&summary.to_string());
    }
    Ok((outcome, summary))
}

async fn answer(
    gateway: &Gateway,
    request: &StreamInvokeRequest,
    renderer: &mut Renderer,
    summary: &mut Summary,
    fold: &mut Fold,
    output: &mut Output,
) -> io::Result<Result<(), Failure>> {
    let mut events = match gateway.stream_invoke(request).await {
        Ok(events) => events,
        Err(failure) => return Ok(Err(failure)),
    };
    loop {
        let response = match events.next().await {
            Ok(Some(response)) => response,
            Ok(None) => return Ok(Ok(())),
            Err(failure) => return Ok(Err(failure)),
        };
        if let Some(event) = &response.event {
            summary.note(event);
            renderer.show(event, output)?;
        }
        fold.push(response);
    }
}
