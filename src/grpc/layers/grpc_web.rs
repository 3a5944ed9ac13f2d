//! Handles gRPC-Web, the form of gRPC that browsers can send: every layer below, and every service,
//! sees only gRPC.
//!
//! The crate `tonic-web` converts the requests and the responses: it decodes base64
//! (`application/grpc-web-text`), and appends the trailers to the body of the response, because web
//! pages cannot read HTTP trailers. The layers above decide which pages may call: `cors` answers
//! preflight requests, and `cross_site` refuses other content types and other origins. The
//! connection accepts HTTP/1.1 for gRPC-Web: see `server::connection`.

use tonic_web::GrpcWebLayer;

/// Converts gRPC-Web to gRPC. Requests that are gRPC already are not changed.
pub(super) fn layer() -> GrpcWebLayer {
    GrpcWebLayer::new()
}
