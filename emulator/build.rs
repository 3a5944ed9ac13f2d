//! Shows tests that need recorded traffic as ignored if there is none.

/// Names the folder of recorded traffic.
const RECORDED: &str = "BEDROCK_GRPC_RECORDED";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={RECORDED}");
    println!("cargo:rustc-check-cfg=cfg(recorded)");
    if std::env::var_os(RECORDED).is_some() {
        println!("cargo:rustc-cfg=recorded");
    }
}
