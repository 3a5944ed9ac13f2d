//! Reflection, in both versions: grpcurl and other tools need no protos.

use prost::Message;
use prost_types::FileDescriptorProto;

use crate::harness::Gateway;

const OURS: [&str; 5] = [
    "bedrock.inference.v1.GuardrailService",
    "bedrock.inference.v1.InferenceService",
    "bedrock.inference.v1.LimitsService",
    "bedrock.inference.v1.ModelService",
    "bedrock.inference.v1.TargetService",
];

/// The same requests to both versions, whose types differ only in their paths.
macro_rules! asks {
    ($test:ident, $version:ident) => {
        #[tokio::test]
        async fn $test() {
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest,
                server_reflection_response::MessageResponse,
            };

            let gateway = Gateway::start().await;
            let mut client = ServerReflectionClient::new(gateway.channel());
            let ask = |question| ServerReflectionRequest {
                host: String::new(),
                message_request: Some(question),
            };
            let questions = [
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol(OURS[1].to_owned())),
                ask(MessageRequest::FileContainingSymbol(
                    "bedrock.inference.v1.UpstreamError".to_owned(),
                )),
                ask(MessageRequest::FileContainingSymbol(
                    "no.such.Symbol".to_owned(),
                )),
            ];
            let mut answers = client
                .server_reflection_info(tokio_stream::iter(questions))
                .await
                .unwrap()
                .into_inner();
            let mut next = async || {
                answers
                    .message()
                    .await
                    .map(|answer| answer.unwrap().message_response.unwrap())
            };

            let MessageResponse::ListServicesResponse(services) = next().await.unwrap() else {
                panic!("not the services");
            };
            let names: Vec<_> = services
                .service
                .iter()
                .map(|service| service.name.as_str())
                .collect();
            for name in OURS.into_iter().chain(["grpc.health.v1.Health"]) {
                assert!(names.contains(&name), "{name} is not in {names:?}");
            }

            for (symbol, file) in [
                (
                    "InferenceService",
                    "bedrock/inference/v1/inference_service.proto",
                ),
                ("UpstreamError", "bedrock/inference/v1/error.proto"),
            ] {
                let MessageResponse::FileDescriptorResponse(files) = next().await.unwrap() else {
                    panic!("no descriptor of {symbol}");
                };
                let files: Vec<_> = files
                    .file_descriptor_proto
                    .iter()
                    .map(|bytes| FileDescriptorProto::decode(bytes.as_slice()).unwrap())
                    .collect();
                let found = files.iter().find(|found| found.name() == file).unwrap();
                // Including the comments, which document the API.
                let info = found.source_code_info.as_ref().unwrap();
                assert!(
                    info.location
                        .iter()
                        .any(|location| !location.leading_comments().is_empty())
                );
            }
            assert!(
                !matches!(next().await, Ok(MessageResponse::FileDescriptorResponse(_))),
                "a descriptor of nothing"
            );
        }
    };
}

asks!(version_1_lists_and_describes, v1);
asks!(version_1_alpha_lists_and_describes, v1alpha);
