//! What a client receives from a call.

use std::error::Error as _;

use bedrock_grpc::pb::{
    StreamInvokeRequest, StreamInvokeResponse, content_block_delta_event::Delta,
    inference_service_client::InferenceServiceClient, stream_invoke_response::Event,
};
use tonic::{Code, IntoRequest, Status, Streaming, metadata::MetadataMap, transport::Channel};

use super::{Details, soon};

/// A call in progress.
pub(crate) struct Stream {
    answer: Answer,
    messages: Option<Streaming<StreamInvokeResponse>>,
}

/// Everything that a client received from a call.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Empty if the whole response was a status.
    pub(crate) headers: MetadataMap,
    pub(crate) messages: Vec<StreamInvokeResponse>,
    pub(crate) end: Result<(), Status>,
    /// Whether the status arrived without a stream before it.
    pub(crate) trailers_only: bool,
}

impl Stream {
    /// Makes a call and waits for the headers.
    pub(crate) async fn open(
        client: &mut InferenceServiceClient<Channel>,
        request: impl IntoRequest<StreamInvokeRequest>,
    ) -> Self {
        match client.stream_invoke(request).await {
            Ok(response) => {
                let (headers, messages, _) = response.into_parts();
                let answer = Answer {
                    headers,
                    messages: Vec::new(),
                    end: Ok(()),
                    trailers_only: false,
                };
                Self {
                    answer,
                    messages: Some(messages),
                }
            }
            Err(status) => Self {
                answer: Answer {
                    headers: MetadataMap::new(),
                    messages: Vec::new(),
                    end: Err(status),
                    trailers_only: true,
                },
                messages: None,
            },
        }
    }

    /// Returns the next message; `None` when the call has ended.
    pub(crate) async fn next(&mut self) -> Option<&StreamInvokeResponse> {
        let messages = self.messages.as_mut()?;
        match soon(messages.message()).await {
            Ok(Some(message)) => {
                self.answer.messages.push(message);
                return self.answer.messages.last();
            }
            Ok(None) => {}
            Err(status) => {
                // The client repeats the error of a broken connection.
                let is_broken = status.source().is_some();
                self.answer.end = Err(status);
                let more = soon(messages.message()).await;
                assert!(
                    is_broken || matches!(more, Ok(None)),
                    "after the status: {more:?}"
                );
            }
        }
        self.messages = None;
        None
    }

    /// Reads until this many text deltas have arrived.
    pub(crate) async fn tokens(&mut self, count: usize) {
        while self.answer.texts().count() < count {
            assert!(
                self.next().await.is_some(),
                "it ended: {:?}",
                self.answer.end
            );
        }
    }

    /// Reads to the end.
    pub(crate) async fn end(mut self) -> Answer {
        while self.next().await.is_some() {}
        self.answer
    }

    pub(crate) fn so_far(&self) -> &Answer {
        &self.answer
    }
}

impl Answer {
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.messages
            .iter()
            .filter_map(|message| message.event.as_ref())
    }

    /// The text deltas.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.events().filter_map(|event| match event {
            Event::ContentBlockDelta(delta) => match &delta.delta {
                Some(Delta::Text(text)) => Some(text.as_str()),
                _ => None,
            },
            _ => None,
        })
    }

    pub(crate) fn text(&self) -> String {
        self.texts().collect()
    }

    /// The names of the events in order, for messages of failed tests.
    pub(crate) fn shape(&self) -> Vec<&'static str> {
        self.events().map(name).collect()
    }

    pub(crate) fn code(&self) -> Code {
        self.end.as_ref().err().map_or(Code::Ok, Status::code)
    }

    /// The details of the status that ended the call.
    pub(crate) fn details(&self) -> Details {
        match &self.end {
            Ok(()) => panic!("the call went well: {:?}", self.shape()),
            Err(status) => Details::of(status),
        }
    }

    /// Checks that this is a complete answer that follows the grammar.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        assert!(self.end.is_ok(), "{:?}", self.end);
        let events: Vec<_> = self
            .shape()
            .into_iter()
            .filter(|name| !matches!(*name, "heartbeat" | "unknown"))
            .collect();
        assert_eq!(events.first(), Some(&"message_start"), "{events:?}");
        assert_eq!(
            events.get(events.len().saturating_sub(2)..),
            Some(&["message_stop", "metadata"][..]),
            "{events:?}"
        );
        // Metadata is the last message, whatever else the stream contains.
        assert_eq!(self.shape().last(), Some(&"metadata"));
        let mut open = Vec::new();
        for event in self.events() {
            match event {
                Event::ContentBlockStart(start) => {
                    assert!(!open.contains(&start.content_block_index), "started twice");
                    open.push(start.content_block_index);
                }
                Event::ContentBlockDelta(delta) => {
                    assert!(open.contains(&delta.content_block_index), "not started");
                }
                Event::ContentBlockStop(stop) => {
                    let known = open.len();
                    open.retain(|index| *index != stop.content_block_index);
                    assert_eq!(open.len() + 1, known, "stopped without a start");
                }
                Event::MessageStop(_) => assert!(open.is_empty(), "not stopped"),
                _ => {}
            }
        }
    }
}

const fn name(event: &Event) -> &'static str {
    match event {
        Event::MessageStart(_) => "message_start",
        Event::ContentBlockStart(_) => "content_block_start",
        Event::ContentBlockDelta(_) => "content_block_delta",
        Event::ContentBlockStop(_) => "content_block_stop",
        Event::MessageStop(_) => "message_stop",
        Event::Metadata(_) => "metadata",
        Event::Heartbeat(_) => "heartbeat",
        Event::Unknown(_) => "unknown",
    }
}
