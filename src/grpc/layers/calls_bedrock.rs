//! Decides which calls make calls to Bedrock. Admission limits these calls. All others (health,
//! reflection, targets) are small, and must work when all slots are taken.

/// The paths of the services whose calls make calls to Bedrock.
const SERVICES: [&str; 3] = [
    "/bedrock.inference.v1.InferenceService/",
    "/bedrock.inference.v1.GuardrailService/",
    "/bedrock.inference.v1.ModelService/",
];

/// Returns whether a call with this path makes calls to Bedrock.
pub(super) fn calls_bedrock(path: &str) -> bool {
    SERVICES.iter().any(|service| path.starts_with(service))
}
