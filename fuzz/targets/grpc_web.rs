#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bedrock_grpc::fuzzing::grpc_web(data));
