//! Contains the gRPC services, the layers around them, and the table that maps failures to
//! statuses.

mod answer_memory;
mod answer_room;
mod apply_guardrail;
mod context;
mod count_tokens;
mod count_tokens_input;
mod defaults;
#[cfg(test)]
mod ending_tests;
mod enforce;
mod estimate;
mod generation;
mod inference;
mod invoke_model;
mod layers;
mod limits;
mod media;
mod message_body;
mod native_bodies;
mod permission;
mod prepare;
mod receive;
mod reservation;
mod service;
mod status;
mod targets;
mod unary;

use std::sync::Arc;

use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::{
    access::Gate,
    pb::{
        FILE_DESCRIPTOR_SET, limits_service_server::LimitsServiceServer,
        target_service_server::TargetServiceServer,
    },
    telemetry::UsageRecords,
};
#[cfg(any(test, fuzzing))]
pub(crate) use enforce::enforced_body;
pub use generation::{Generation, Generations, Origins, Parts, ServerTls};
pub use inference::Inference;
pub use layers::{Admission, Stack, allow_own_origin, stack};
#[cfg(any(test, fuzzing))]
pub(crate) use receive::{Receiver, decode as decode_message};
use targets::Targets;

/// The health of every service, and of the server as a whole: whether clients should send calls
/// here.
///
/// Cheap to clone. All clones report the health of the same server.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    service: tonic_health::pb::health_server::HealthServer<tonic_health::server::HealthService>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

/// The services whose health is reported, in addition to `""`, which means the whole server.
const SERVICES: [&str; 5] = [
    "bedrock.inference.v1.GuardrailService",
    "bedrock.inference.v1.InferenceService",
    "bedrock.inference.v1.LimitsService",
    "bedrock.inference.v1.ModelService",
    "bedrock.inference.v1.TargetService",
];

impl Health {
    /// Creates the health of a server, with the state SERVING.
    pub async fn serving() -> Self {
        let reporter = HealthReporter::new();
        for name in SERVICES.into_iter().chain([""]) {
            reporter
                .set_service_status(name, tonic_health::ServingStatus::Serving)
                .await;
        }
        let service = tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(reporter.clone()),
        );
        Self { reporter, service }
    }

    /// Sets the health to NOT_SERVING, so that clients use other replicas.
    pub async fn not_serving(&self) {
        for name in SERVICES.into_iter().chain([""]) {
            self.reporter
                .set_service_status(name, tonic_health::ServingStatus::NotServing)
                .await;
        }
    }

    /// Ends all watches. An open watch would keep its connection open, which would prevent the
    /// process from exiting.
    pub async fn end_watches(&mut self) {
        for name in SERVICES.into_iter().chain([""]) {
            self.reporter.clear_service_status(name).await;
        }
    }
}

/// The maximum size of requests of services other than inference, in bytes. tonic reserves as much
/// memory as the start of a message declares.
const MAX_SMALL_MESSAGE: usize = 16 << 10;

/// Creates the gRPC service with all layers. It does not accept connections.
///
/// # Errors
/// Fails if the descriptor set cannot be read, which would be a bug of the build.
pub fn server(
    inference: Inference,
    health: &Health,
    (gate, records): (Gate, UsageRecords),
    admission: Admission,
) -> Result<Stack, tonic_reflection::server::Error> {
    let generations = inference.generations.clone();
    let cut = inference.cut.clone();
    let limits_service = limits::Limits {
        generations: generations.clone(),
    };
    let limits_service =
        LimitsServiceServer::new(limits_service).max_decoding_message_size(MAX_SMALL_MESSAGE);
    let targets = Targets {
        generations: generations.clone(),
    };
    let inference = Arc::new(inference);
    let guardrails = service::GuardrailServer::new(Arc::clone(&inference));
    let models = service::ModelServer::new(Arc::clone(&inference));
    let inference = service::InferenceServer::new(inference);
    let targets = TargetServiceServer::new(targets).max_decoding_message_size(MAX_SMALL_MESSAGE);
    let health = health
        .service
        .clone()
        .max_decoding_message_size(MAX_SMALL_MESSAGE);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // With the descriptors of the error details, clients such as grpcurl can decode the
            // details.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Routes::new(inference)
        .add_service(guardrails)
        .add_service(models)
        .add_service(targets)
        .add_service(limits_service)
        .add_service(health)
        .add_service(
            reflection()
                .build_v1()?
                .max_decoding_message_size(MAX_SMALL_MESSAGE),
        )
        .add_service(
            reflection()
                .build_v1alpha()?
                .max_decoding_message_size(MAX_SMALL_MESSAGE),
        )
        .prepare();
    Ok(layers::stack(
        routes,
        generations,
        (gate, records),
        admission,
        cut,
    ))
}
