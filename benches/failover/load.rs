//! Sends calls at a steady pace and records their outcomes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bedrock_grpc::pb::{
    ContentBlock, ConverseInput, Message, Role, StreamInvokeRequest, content_block::Content,
    inference_service_client::InferenceServiceClient, stream_invoke_response::Event,
};
use tokio::{task::JoinSet, time::MissedTickBehavior};
use tonic::{Request, transport::Channel};

use crate::stage::Stage;

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// When the call began, from the beginning of the load.
    pub(crate) began: Duration,
    /// Why the call failed. `None` if the answer is complete.
    pub(crate) failure: Option<String>,
    pub(crate) first_event: Duration,
    /// When the call ended, from the beginning of the load.
    pub(crate) ended: Duration,
    /// The source Region that answered.
    pub(crate) region: String,
    /// The account that answered. Empty for the gateway's own.
    pub(crate) account: String,
}

/// The outcomes of calls.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(pub(crate) Vec<Outcome>);

impl Outcomes {
    /// Returns the calls that began between two moments.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> Self {
        let within = |outcome: &&Outcome| outcome.began >= from && outcome.began < to;
        Self(self.0.iter().filter(within).cloned().collect())
    }

    pub(crate) fn answered(&self) -> usize {
        self.0
            .iter()
            .filter(|outcome| outcome.failure.is_none())
            .count()
    }

    /// Returns a quantile of the time to the first event, over the answered calls.
    pub(crate) fn first_event(&self, share: f64) -> Duration {
        let answered = self.0.iter().filter(|outcome| outcome.failure.is_none());
        let mut times: Vec<_> = answered.map(|outcome| outcome.first_event).collect();
        times.sort_unstable();
        let index = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        times.get(index).copied().unwrap_or_default()
    }

    /// Returns how many calls each source Region answered.
    pub(crate) fn by_region(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for outcome in self.0.iter().filter(|outcome| outcome.failure.is_none()) {
            *counts.entry(outcome.region.as_str()).or_default() += 1;
        }
        counts
    }

    /// Returns why calls failed, and how often.
    pub(crate) fn failures(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for failure in self
            .0
            .iter()
            .filter_map(|outcome| outcome.failure.as_deref())
        {
            *counts.entry(failure).or_default() += 1;
        }
        counts
    }
}

/// Sends this many calls per second for this time, and waits until all have ended. Before each
/// call, calls `meanwhile` with the time that has passed.
pub(crate) async fn offer(
    stage: &Stage,
    per_second: f64,
    length: Duration,
    mut meanwhile: impl FnMut(Duration),
) -> Outcomes {
    let began = Instant::now();
    let mut calls = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while began.elapsed() < length {
        ticks.tick().await;
        meanwhile(began.elapsed());
        calls.spawn(call(stage.client(), stage.key().to_owned(), began));
    }
    Outcomes(calls.join_all().await)
}

/// Makes one call. `load` is when the load began.
async fn call(mut client: InferenceServiceClient<Channel>, key: String, load: Instant) -> Outcome {
    let mut outcome = answer(&mut client, &key, load.elapsed()).await;
    outcome.ended = load.elapsed();
    outcome
}

async fn answer(
    client: &mut InferenceServiceClient<Channel>,
    key: &str,
    began: Duration,
) -> Outcome {
    let start = Instant::now();
    let mut outcome = Outcome {
        began,
        ended: began,
        failure: Some("cut".to_owned()),
        first_event: Duration::ZERO,
        region: String::new(),
        account: String::new(),
    };
    let mut request = Request::new(request());
    match format!("Bearer {key}").parse() {
        Ok(value) => request.metadata_mut().insert("authorization", value),
        Err(_) => return outcome,
    };
    let mut stream = match client.stream_invoke(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            outcome.failure = Some(format!("{:?}: {}", status.code(), status.message()));
            return outcome;
        }
    };
    loop {
        match stream.message().await {
            Ok(Some(message)) => match message.event {
                Some(Event::MessageStart(event)) => {
                    outcome.first_event = start.elapsed();
                    let target = event.target.unwrap_or_default();
                    outcome.region = target.source_region;
                    outcome.account = target.account;
                }
                Some(Event::Metadata(_)) => outcome.failure = None,
                _ => {}
            },
            Ok(None) => return outcome,
            Err(status) => {
                outcome.failure = Some(format!("{:?}: {}", status.code(), status.message()));
                return outcome;
            }
        }
    }
}

fn request() -> StreamInvokeRequest {
    let block = ContentBlock {
        content: Some(Content::Text("Why is the sky blue?".to_owned())),
    };
    let message = Message {
        role: Role::User.into(),
        content: vec![block],
    };
    StreamInvokeRequest {
        target: "t".to_owned(),
        input: Some(ConverseInput {
            messages: vec![message],
            ..ConverseInput::default()
        }),
        ..StreamInvokeRequest::default()
    }
}
