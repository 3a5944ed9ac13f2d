//! Compiles the protos in `proto/` without protoc, and writes the descriptor set for reflection.

use std::{env, error::Error, path::PathBuf};

use prost::Message;

const PROTO_ROOT: &str = "proto";
const SERVICES: [&str; 5] = [
    "bedrock/inference/v1/guardrail_service.proto",
    "bedrock/inference/v1/inference_service.proto",
    "bedrock/inference/v1/limits_service.proto",
    "bedrock/inference/v1/model_service.proto",
    "bedrock/inference/v1/target_service.proto",
];
/// No service imports it, because it is sent in status details.
const DETAILS: [&str; 1] = ["bedrock/inference/v1/error.proto"];

/// Names the folder of recorded traffic.
const RECORDED: &str = "BEDROCK_GRPC_RECORDED";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    // Tests that need recorded traffic are shown as ignored without it.
    println!("cargo:rerun-if-env-changed={RECORDED}");
    // Set by cargo-fuzz.
    println!("cargo:rustc-check-cfg=cfg(fuzzing)");
    println!("cargo:rustc-check-cfg=cfg(recorded)");
    if env::var_os(RECORDED).is_some() {
        println!("cargo:rustc-cfg=recorded");
    }
    // Tests that need a real Redis are shown as ignored without it. In CI, they fail.
    println!("cargo:rerun-if-env-changed=CI");
    println!("cargo:rustc-check-cfg=cfg(jq)");
    if env::var_os("CI").is_some_and(|value| value == "true") || is_installed("jq") {
        println!("cargo:rustc-cfg=jq");
    }
    println!("cargo:rustc-check-cfg=cfg(redis_server)");
    if env::var_os("CI").is_some_and(|value| value == "true") || is_installed("redis-server") {
        println!("cargo:rustc-cfg=redis_server");
    }
    let files = SERVICES.iter().chain(&DETAILS);
    let mut compiler = protox::Compiler::new([PROTO_ROOT])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(files)?;
    let descriptors = compiler.file_descriptor_set();

    let out = PathBuf::from(env::var("OUT_DIR")?);
    std::fs::write(
        out.join("bedrock.inference.v1.bin"),
        descriptors.encode_to_vec(),
    )?;

    tonic_prost_build::configure()
        // Documents and images stay slices of the request's buffer.
        .bytes(".")
        .codec_path("crate::pb::Codec")
        .compile_fds(descriptors)?;
    Ok(())
}

/// Whether a program is on this machine.
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
