//! Prints an answer as JSON lines: each event in Bedrock's JSON. If the call fails, the last line
//! is the failure.

use std::io;

use super::{client::Gateway, exit::Exit, failure::Failure, interrupt::Interrupts, output::Output};
use crate::{pb::StreamInvokeRequest, translate};

/// Makes the call and prints its events as they arrive.
///
/// Fails if standard output cannot be written. If the call fails, the failure is printed and
/// determines the exit code.
pub async fn print(
    gateway: &Gateway,
    request: &StreamInvokeRequest,
    interrupts: &mut Interrupts,
    output: &mut Output,
) -> io::Result<Exit> {
    tokio::select! {
        () = interrupts.pressed() => {
            output.note("cancelled");
            Ok(Exit::Cancelled)
        }
        result = print_all(gateway, request, output) => match result? {
            Ok(()) => Ok(Exit::Success),
            Err(failure) => {
                output.line(&failure.to_json())?;
                failure.print(output);
                Ok(failure.exit())
            }
        }
    }
}

async fn print_all(
    gateway: &Gateway,
    request: &StreamInvokeRequest,
    output: &mut Output,
) -> io::Result<Result<(), Failure>> {
    let mut events = match gateway.stream_invoke(request).await {
        Ok(events) => events,
        Err(failure) => return Ok(Err(failure)),
    };
    loop {
        match events.next().await {
            Ok(Some(event)) => output.line(&translate::event::to_bedrock(&event))?,
            Ok(None) => return Ok(Ok(())),
            Err(failure) => return Ok(Err(failure)),
        }
    }
}
