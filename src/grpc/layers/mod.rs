//! What every call passes, from the outside in. One list, a reason for each.

mod admission;
mod aside;
mod contain;
mod context;
mod cors;
mod cross_site;
mod deadline;
mod identity;
mod protocol;
mod rate_limits;

use std::{convert::Infallible, sync::Arc};

use tokio_util::sync::CancellationToken;
use tonic::{body::Body, service::Routes};
use tonic_web::GrpcWebLayer;
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use crate::{
    access::Gate,
    config::{Cors, Limits},
};
pub use admission::Admission;
pub use cross_site::allow_own_origin;

/// A whole gRPC server, but for its connections.
pub type Stack = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// Puts the layers around services: [`super::server`] around the gateway's own, tests around some
/// that misbehave.
pub fn stack(
    routes: Routes,
    gate: Gate,
    admission: Admission,
    limits: &Arc<Limits>,
    cut: CancellationToken,
    cors: &Cors,
) -> Stack {
    let service = ServiceBuilder::new()
        // First, so that a call's clocks start when it arrives, and every response carries its ID.
        .layer(context::ContextLayer)
        // Browsers ask before they call; these questions must not reach gRPC.
        .layer(cors::layer(cors))
        // Before anything is read: what a page may not send must not be executed.
        .layer(cross_site::CrossSiteLayer::new(cors))
        // From here on in there is only gRPC.
        .layer(GrpcWebLayer::new())
        // Inside of gRPC-Web, which turns the trailers of a contained panic into a body.
        .layer(contain::ContainLayer)
        // Before any of the message is read, and before admission, which is fair between callers.
        .layer(identity::IdentityLayer { gate })
        // Those calls that admission does not limit.
        .layer(aside::AsideLayer {
            watches: admission.watches(),
            limits: Arc::clone(limits),
        })
        // Before any of the message is read, so that overload costs nothing.
        .layer(admission)
        // Clients may never finish their message.
        .layer(deadline::DeadlineLayer {
            limits: Arc::clone(limits),
            cut,
        })
        // Next to the services, for whose decoders it speaks.
        .layer(protocol::ProtocolLayer)
        .service(routes);
    BoxCloneSyncService::new(
        ServiceBuilder::new()
            .map_response(|response: http::Response<_>| response.map(Body::new))
            .service(service),
    )
}
