//! Compiles the protos without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}");
    let files = [
        "bedrock/inference/v1/inference_service.proto",
        "bedrock/inference/v1/model_service.proto",
        "bedrock/inference/v1/error.proto",
    ];
    let descriptors = protox::compile(files, [root])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(descriptors)?;
    Ok(())
}
