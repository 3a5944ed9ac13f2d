//! grpc.health.v1 for Kubernetes' probes, which speak gRPC in plain text only.

use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// The service that readiness probes ask about: the gateway as a whole.
const READINESS: &str = "";
/// The service that liveness probes ask about. A gateway that drains is alive.
const LIVENESS: &str = "liveness";

/// What probes are told. Cheap to clone; all clones speak of the same gateway.
#[derive(Clone, Debug)]
pub(super) struct Health(HealthReporter);

impl Health {
    /// Alive, and not ready yet.
    pub(super) async fn alive() -> Self {
        let health = Self(HealthReporter::new());
        health.set_ready(false).await;
        health
            .0
            .set_service_status(LIVENESS, ServingStatus::Serving)
            .await;
        health
    }

    /// Whether calls should be sent here.
    pub(super) async fn set_ready(&self, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        self.0.set_service_status(READINESS, status).await;
    }

    /// What answers the probes.
    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
    }
}
