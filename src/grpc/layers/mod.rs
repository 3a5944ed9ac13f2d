//! Lists all layers that a call passes. The first layer is the outermost one. A comment at each
//! layer explains its position.

mod admission;
mod calls_bedrock;
mod catch_panic;
mod context;
mod cors;
mod cross_site;
mod grpc_web;
mod identity;
mod non_inference;
mod rate_limits;
mod receive_deadline;
mod tonic_errors;
mod usage;

use std::convert::Infallible;

use tokio_util::sync::CancellationToken;
use tonic::{body::Body, service::Routes};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use crate::{access::Gate, grpc::Generations, telemetry::UsageRecords};
pub use admission::Admission;
pub use cross_site::allow_own_origin;

/// A gRPC service with all layers. It does not accept connections.
pub type Stack = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// Puts the layers around services. [`super::server`] passes the gateway's own services. Tests pass
/// services that misbehave.
pub fn stack(
    routes: Routes,
    generations: Generations,
    (gate, records): (Gate, UsageRecords),
    admission: Admission,
    cut: CancellationToken,
) -> Stack {
    let service = ServiceBuilder::new()
        // This layer is first. So the time limits of a call begin when it arrives, every response
        // has the request ID, and all layers use the same generation of the configuration.
        .layer(context::ContextLayer { generations })
        // Browsers send preflight requests before they make calls. These requests must not reach
        // gRPC.
        .layer(cors::layer())
        // A request that a page may not send must not be executed, so this layer runs before
        // anything is read.
        .layer(cross_site::CrossSiteLayer)
        // All layers below handle only gRPC.
        .layer(grpc_web::layer())
        // This layer is inside of gRPC-Web, which converts the trailers of a caught panic to a part
        // of the body.
        .layer(catch_panic::CatchPanicLayer)
        // The caller is identified before the message is read, and before admission, which is fair
        // between callers.
        .layer(identity::IdentityLayer { gate, records })
        // This layer limits the calls that admission does not limit.
        .layer(non_inference::NonInferenceLayer {
            watches: admission.watches(),
        })
        // Admission runs before the message is read, so that refused calls cost almost nothing.
        .layer(admission)
        // This layer ends calls whose client never completes its message.
        .layer(receive_deadline::ReceiveDeadlineLayer { cut })
        // This layer is next to the services, because it rewrites the errors of their decoders.
        .layer(tonic_errors::TonicErrorsLayer)
        .service(routes);
    BoxCloneSyncService::new(
        ServiceBuilder::new()
            .map_response(|response: http::Response<_>| response.map(Body::new))
            .service(service),
    )
}
