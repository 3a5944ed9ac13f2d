//! The client of a gateway, with deadlines and a retry.

use std::{error::Error, future::Future, time::Duration};

use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{
    credential::{AUTHORIZATION, Credential},
    failure::{Failure, find},
};
use crate::pb::{
    ApplyGuardrailRequest, ApplyGuardrailResponse, CountTokensRequest, CountTokensResponse,
    GetLimitsRequest, GetLimitsResponse, GetTargetRequest, GetTargetResponse, InvokeModelRequest,
    InvokeModelResponse, InvokeRequest, InvokeResponse, ListTargetsRequest, ListTargetsResponse,
    StreamInvokeModelRequest, StreamInvokeModelResponse, StreamInvokeRequest, StreamInvokeResponse,
    guardrail_service_client::GuardrailServiceClient,
    inference_service_client::InferenceServiceClient, limits_service_client::LimitsServiceClient,
    model_service_client::ModelServiceClient, stream_invoke_model_response::Event as ModelEvent,
    stream_invoke_response::Event, target_service_client::TargetServiceClient,
};

/// The maximum size of a response. The default of 4 MiB is too small for images.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// A client of a gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    channel: Channel,
    address: String,
    metadata: MetadataMap,
    credential: Credential,
    deadline: Option<Duration>,
}

impl Gateway {
    /// Creates a client. `address` is only used in messages. The metadata and the deadline apply to
    /// every call.
    pub fn new(
        channel: Channel,
        address: String,
        metadata: MetadataMap,
        credential: Credential,
        deadline: Option<Duration>,
    ) -> Self {
        Self {
            channel,
            address,
            metadata,
            credential,
            deadline,
        }
    }

    /// Calls Invoke. Fails if the call fails.
    pub async fn invoke(&self, request: &InvokeRequest) -> Result<InvokeResponse, Failure> {
        let (response, _) = self
            .call(|| async { self.inference().invoke(self.request(request.clone())).await })
            .await?;
        Ok(response)
    }

    /// Calls CountTokens. Fails if the call fails.
    pub async fn count_tokens(
        &self,
        request: &CountTokensRequest,
    ) -> Result<CountTokensResponse, Failure> {
        let (response, _) = self
            .call(|| async {
                self.inference()
                    .count_tokens(self.request(request.clone()))
                    .await
            })
            .await?;
        Ok(response)
    }

    /// Calls ApplyGuardrail. Fails if the call fails.
    pub async fn apply_guardrail(
        &self,
        request: &ApplyGuardrailRequest,
    ) -> Result<ApplyGuardrailResponse, Failure> {
        let (response, _) = self
            .call(|| async {
                GuardrailServiceClient::new(self.channel.clone())
                    .max_decoding_message_size(MAX_RESPONSE_BYTES)
                    .apply_guardrail(self.request(request.clone()))
                    .await
            })
            .await?;
        Ok(response)
    }

    /// Calls InvokeModel. Fails if the call fails.
    pub async fn invoke_model(
        &self,
        request: &InvokeModelRequest,
    ) -> Result<InvokeModelResponse, Failure> {
        let (response, _) = self
            .call(|| async {
                ModelServiceClient::new(self.channel.clone())
                    .max_decoding_message_size(MAX_RESPONSE_BYTES)
                    .invoke_model(self.request(request.clone()))
                    .await
            })
            .await?;
        Ok(response)
    }

    /// Calls StreamInvoke, and returns when the response has begun. Fails if the call fails before.
    pub async fn stream_invoke(&self, request: &StreamInvokeRequest) -> Result<Events, Failure> {
        let (stream, deadline) = self
            .call(|| async {
                self.inference()
                    .stream_invoke(self.request(request.clone()))
                    .await
            })
            .await?;
        let is_last =
            |message: &StreamInvokeResponse| matches!(message.event, Some(Event::Metadata(_)));
        Ok(self.events(stream, deadline, is_last))
    }

    /// Calls StreamInvokeModel, and returns when the response has begun. Fails if the call fails
    /// before.
    pub async fn stream_invoke_model(
        &self,
        request: &StreamInvokeModelRequest,
    ) -> Result<Events<StreamInvokeModelResponse>, Failure> {
        let (stream, deadline) = self
            .call(|| async {
                ModelServiceClient::new(self.channel.clone())
                    .max_decoding_message_size(MAX_RESPONSE_BYTES)
                    .stream_invoke_model(self.request(request.clone()))
                    .await
            })
            .await?;
        let is_last = |message: &StreamInvokeModelResponse| {
            matches!(message.event, Some(ModelEvent::Metadata(_)))
        };
        Ok(self.events(stream, deadline, is_last))
    }

    fn events<M>(
        &self,
        stream: Streaming<M>,
        deadline: Option<Instant>,
        is_last: fn(&M) -> bool,
    ) -> Events<M> {
        Events {
            stream,
            deadline,
            address: self.address.clone(),
            is_last,
            complete: false,
        }
    }

    /// Returns the whole list of targets from all its pages, optionally with the inference profiles
    /// that callers can use. Fails if a call fails.
    pub async fn list_targets(
        &self,
        include_inference_profiles: bool,
    ) -> Result<ListTargetsResponse, Failure> {
        let mut targets = Vec::new();
        let mut request = ListTargetsRequest {
            include_inference_profiles,
            ..ListTargetsRequest::default()
        };
        loop {
            let (page, _) = self
                .call(|| async {
                    TargetServiceClient::new(self.channel.clone())
                        .list_targets(self.request(request.clone()))
                        .await
                })
                .await?;
            targets.extend(page.targets);
            if page.next_page_token.is_empty() {
                return Ok(ListTargetsResponse { targets, ..page });
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Returns a target by its name, which is any name that requests can use. Fails if the call
    /// fails.
    pub async fn get_target(&self, name: &str) -> Result<GetTargetResponse, Failure> {
        let request = GetTargetRequest {
            target: name.to_owned(),
        };
        let (response, _) = self
            .call(|| async {
                TargetServiceClient::new(self.channel.clone())
                    .get_target(self.request(request.clone()))
                    .await
            })
            .await?;
        Ok(response)
    }

    /// Returns the permissions and limits of the caller. Fails if the call fails.
    pub async fn get_limits(&self) -> Result<GetLimitsResponse, Failure> {
        let (response, _) = self
            .call(|| async {
                LimitsServiceClient::new(self.channel.clone())
                    .get_limits(self.request(GetLimitsRequest {}))
                    .await
            })
            .await?;
        Ok(response)
    }

    /// Returns the health of a service, or of the whole gateway if the name is empty. Fails if the
    /// call fails.
    pub async fn health(&self, service: &str) -> Result<ServingStatus, Failure> {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let (response, _) = self
            .call(|| async {
                HealthClient::new(self.channel.clone())
                    .check(self.request(request.clone()))
                    .await
            })
            .await?;
        Ok(response.status())
    }

    /// Makes a call within the deadline. Returns the response, and the deadline until which a
    /// streamed response must be complete.
    async fn call<T, F>(&self, attempt: impl Fn() -> F) -> Result<(T, Option<Instant>), Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = self.deadline.map(|time| Instant::now() + time);
        let call = async {
            match attempt().await {
                Err(status) if never_sent(&status) => attempt().await,
                result => result,
            }
        };
        let response = within(deadline, call)
            .await?
            .map_err(|status| Failure::of_call(&status, &self.address))?;
        Ok((response.into_inner(), deadline))
    }

    fn inference(&self) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_RESPONSE_BYTES)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        if let Some(value) = self.credential.authorization()
            && !request.metadata().contains_key(AUTHORIZATION)
        {
            request.metadata_mut().insert(AUTHORIZATION, value);
        }
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }
}

/// The events of an answer.
#[derive(Debug)]
pub struct Events<M = StreamInvokeResponse> {
    stream: Streaming<M>,
    deadline: Option<Instant>,
    address: String,
    /// Returns whether a message is the last one of a complete answer.
    is_last: fn(&M) -> bool,
    complete: bool,
}

impl<M> Events<M> {
    /// Returns the next event, or `None` after a complete answer. Fails if the call fails, or if
    /// the stream ends without its last event. If the future is dropped, no event is lost.
    pub async fn next(&mut self) -> Result<Option<M>, Failure> {
        let message = within(self.deadline, self.stream.message())
            .await?
            .map_err(|status| Failure::of_call(&status, &self.address))?;
        match &message {
            Some(response) => {
                self.complete |= (self.is_last)(response);
                Ok(message)
            }
            None if self.complete => Ok(None),
            None => Err(Failure::truncated()),
        }
    }
}

async fn within<T>(deadline: Option<Instant>, call: impl Future<Output = T>) -> Result<T, Failure> {
    match deadline {
        Some(deadline) => timeout_at(deadline, call)
            .await
            .map_err(|_| Failure::deadline()),
        None => Ok(call.await),
    }
}

/// Returns whether the call failed only because its connection was being closed, so that the
/// gateway has not processed it. This happens to the first call after a GOAWAY. The next call uses
/// a new connection.
fn never_sent(status: &Status) -> bool {
    let Some(source) = status.source() else {
        return false;
    };
    let dropped = find::<hyper::Error>(source).is_some_and(hyper::Error::is_canceled);
    let refused = find::<h2::Error>(source).is_some_and(|error| {
        (error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR))
            || error.reason() == Some(h2::Reason::REFUSED_STREAM)
    });
    dropped || refused
}
