//! All layers that a call passes, in one list. The first one is the outermost. Each has a comment
//! that explains its position.

mod admission;
mod catch_panic;
mod context;
mod cors;
mod cross_site;
mod identity;
mod non_inference;
mod rate_limits;
mod receive_deadline;
mod tonic_errors;
mod upstream;
mod usage;

use std::convert::Infallible;

use tokio_util::sync::CancellationToken;
use tonic::{body::Body, service::Routes};
use tonic_web::GrpcWebLayer;
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use crate::{access::Gate, grpc::Generations, telemetry::UsageRecords};
pub use admission::Admission;
pub use cross_site::allow_own_origin;

/// A whole gRPC server, without its connections.
pub type Stack = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// Puts the layers around services. [`super::server`] passes the gateway's own services; tests pass
/// services that misbehave.
pub fn stack(
    routes: Routes,
    generations: Generations,
    (gate, records): (Gate, UsageRecords),
    admission: Admission,
    cut: CancellationToken,
) -> Stack {
    let service = ServiceBuilder::new()
        // First, so that the time limits of a call begin when it arrives, every response carries
        // the request ID, and all layers see the same generation of the configuration.
        .layer(context::ContextLayer { generations })
        // Browsers send preflight requests before they make calls; these must not reach gRPC.
        .layer(cors::layer())
        // Before anything is read: a request that a page may not send must not be executed.
        .layer(cross_site::CrossSiteLayer)
        // All layers below handle only gRPC.
        .layer(GrpcWebLayer::new())
        // Inside of gRPC-Web, which turns the trailers of a caught panic into a body.
        .layer(catch_panic::CatchPanicLayer)
        // Before the message is read, and before admission, which is fair between callers.
        .layer(identity::IdentityLayer { gate, records })
        // Limits the calls that admission does not limit.
        .layer(non_inference::NonInferenceLayer {
            watches: admission.watches(),
        })
        // Before the message is read, so that overload costs nothing.
        .layer(admission)
        // A client may never complete its message.
        .layer(receive_deadline::ReceiveDeadlineLayer { cut })
        // Next to the services, because it rewrites the errors of their decoders.
        .layer(tonic_errors::TonicErrorsLayer)
        .service(routes);
    BoxCloneSyncService::new(
        ServiceBuilder::new()
            .map_response(|response: http::Response<_>| response.map(Body::new))
            .service(service),
    )
}
