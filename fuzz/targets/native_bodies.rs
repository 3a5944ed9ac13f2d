#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bedrock_grpc::fuzzing::native_bodies(data));
