//! grpc.health.v1 for Kubernetes' gRPC probes, which do not support TLS.

use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// The service of readiness probes: the gateway as a whole.
const READINESS: &str = "";
/// The service of liveness probes. A draining gateway is alive.
const LIVENESS: &str = "liveness";

/// The health that probes see. Cheap to clone; all clones share the same state.
#[derive(Clone, Debug)]
pub(super) struct Health(HealthReporter);

impl Health {
    /// Creates the health of a gateway that is alive but not ready yet.
    pub(super) async fn alive() -> Self {
        let health = Self(HealthReporter::new());
        health.set_ready(false).await;
        health
            .0
            .set_service_status(LIVENESS, ServingStatus::Serving)
            .await;
        health
    }

    /// Sets whether calls should be sent to this gateway.
    pub(super) async fn set_ready(&self, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        self.0.set_service_status(READINESS, status).await;
    }

    /// Returns the service that answers probes.
    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
    }
}
