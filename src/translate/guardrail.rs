//! Translates requests and responses of Bedrock's ApplyGuardrail.

use super::{
    Error,
    json::{MAX_DEPTH, Position, Reader},
    raw,
    table::{BadJson, Decoder, Encoder, Mode, Value},
};
use crate::{bounds::Stop, error::Violation, pb};

/// The members of a request that HTTP carries in the URL.
const IN_URL: [&str; 2] = ["/guardrailIdentifier", "/guardrailVersion"];

/// Returns the body of a request. Equal requests have equal bodies.
///
/// If `stop` is set during the call, the result must not be used.
///
/// # Errors
///
/// Returns the fields that JSON cannot express: enum values without a name.
pub fn to_apply_guardrail(
    request: &pb::ApplyGuardrailRequest,
    stop: &Stop,
) -> Result<Vec<u8>, Vec<Violation>> {
    let size = prost::Message::encoded_len(request);
    // Base64 turns three bytes into four, so half of the size is added as a reserve.
    let capacity = size + size / 2 + 64;
    let mut out = Encoder::until(stop.clone(), capacity, &[], BadJson::Refuse);
    request.write(&mut out, &Position::ROOT);
    let (written, violations) = out.finish();
    if violations.is_empty() {
        Ok(written.into_bytes())
    } else {
        Err(violations.finish("content"))
    }
}

/// Parses a request in the format of the AWS CLI's `--cli-input-json`: the body, including
/// `guardrailIdentifier` and `guardrailVersion` if they are given.
///
/// # Errors
///
/// Returns the first error: a value of the wrong type, a missing or unknown member, or text that is
/// not JSON.
pub fn from_apply_guardrail(body: &[u8]) -> Result<pb::ApplyGuardrailRequest, Error> {
    let mut from = Decoder::new(body, Mode::Request)?;
    let request = pb::ApplyGuardrailRequest::read(&mut from, &Position::ROOT)?;
    let mut request = request.unwrap_or_default();
    for member in from.finish()? {
        let field = match IN_URL.iter().position(|pointer| *pointer == member.pointer) {
            Some(0) => &mut request.guardrail_identifier,
            Some(_) => &mut request.guardrail_version,
            None => {
                let name = member.pointer.trim_start_matches('/').to_owned();
                let problem = "is not a member of ApplyGuardrail's request, or has a value that this version does not know";
                return Err(Error {
                    path: name,
                    problem: problem.to_owned(),
                });
            }
        };
        let text = Reader::with_limit(&member.json, MAX_DEPTH).string();
        let text = text.map_err(|_| Error {
            path: member.pointer.trim_start_matches('/').to_owned(),
            problem: "expected a string".to_owned(),
        })?;
        *field = Some(text.into_owned());
    }
    Ok(request)
}

/// Translates the body of a response. Nothing is lost: members without a field become raw members.
/// The caller adds the gateway's own fields.
///
/// # Errors
///
/// Returns an error if the body is not a JSON object.
pub fn from_response(body: &[u8]) -> Result<pb::ApplyGuardrailResponse, Error> {
    let mut from = Decoder::new(body, Mode::Event)?;
    let response = pb::ApplyGuardrailResponse::read(&mut from, &Position::ROOT)?;
    let response = response.ok_or_else(|| Error::new(&Position::ROOT, "expected an object"))?;
    Ok(pb::ApplyGuardrailResponse {
        raw_members: from.finish()?,
        ..response
    })
}

/// Returns the response as the JSON that Bedrock sent. The gateway's additions are omitted.
pub fn to_response(response: &pb::ApplyGuardrailResponse) -> String {
    let members = &response.raw_members;
    let mut out = Encoder::new(1024, members, BadJson::Quote);
    response.write(&mut out, &Position::ROOT);
    let written = out.finish().0.into_string();
    let (json, _) = raw::merge(written, members, MAX_DEPTH, raw::Json::Unknown);
    json
}
