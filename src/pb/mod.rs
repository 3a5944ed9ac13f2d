//! The types of `bedrock.inference.v1`, which `build.rs` generates from `proto/`.

#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

mod codec;
mod measure;

pub use codec::Codec;
pub use measure::{Measure, Unmeasured, measure};

tonic::include_proto!("bedrock.inference.v1");

/// The descriptors of all protos with their comments, as an encoded
/// `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/bedrock.inference.v1.bin"));
