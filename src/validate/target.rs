//! Rules for `target`: an alias, a model ID, a profile ID, or an ARN.
//!
//! The target becomes a part of a URL, so characters that could change the rest of the URL are
//! refused. The accepted formats are those of `modelId` in Bedrock's service model, but with any
//! profile prefix and any resource type.

use super::common::longer_than;
use super::path::{Shown, Violations};

/// The maximum length of a target, in characters. Source: Bedrock's service model.
const MAX_CHARS: usize = 2048;
const FIELD: &str = "target";

/// The format of a target. Whether the target exists is checked elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// An alias from the gateway's configuration. It contains neither `.` nor `:`.
    Alias,
    /// A model ID or inference profile ID.
    ModelId,
    /// The ARN of a prompt of Prompt management, which has its own rules for the input.
    Prompt,
    /// Any other ARN.
    Arn,
}

/// Checks the field `target` of the message at the current path. It is required.
pub(super) fn check(target: &str, out: &mut Violations) {
    if target.is_empty() {
        out.add_at(
            FIELD,
            "is required: use an alias, a model ID, an inference profile ID or an ARN",
        );
    } else if longer_than(target, MAX_CHARS) {
        out.add_at(
            FIELD,
            format_args!("is too long: at most {MAX_CHARS} characters are allowed"),
        );
    } else if let Err(problem) = problem(target) {
        out.add_at(FIELD, format_args!("{} {problem}", Shown(target)));
    }
}

/// Returns the format of a target, which may be invalid.
pub(super) fn shape(target: &str) -> Shape {
    if !is_arn(target) {
        return if target.contains(['.', ':']) {
            Shape::ModelId
        } else {
            Shape::Alias
        };
    }
    match Arn::parse(target) {
        Some(arn) if arn.service == "bedrock" && arn.resource.starts_with("prompt/") => {
            Shape::Prompt
        }
        _ => Shape::Arn,
    }
}

fn is_arn(target: &str) -> bool {
    target
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("arn:"))
}

fn problem(target: &str) -> Result<(), &'static str> {
    if target
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || !c.is_ascii())
    {
        return Err("contains white space, control characters or non-ASCII characters");
    }
    if target.contains("..") {
        return Err("contains `..`, which is not allowed in a target");
    }
    match shape(target) {
        Shape::Alias => alias(target),
        Shape::ModelId => model_id(target),
        Shape::Prompt | Shape::Arn => arn(target),
    }
}

fn alias(target: &str) -> Result<(), &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '@' | '+');
    let segments_are_whole = target.split('/').all(|segment| !segment.is_empty());
    if target.chars().all(allowed) && segments_are_whole {
        Ok(())
    } else {
        Err("is not an alias: use letters, digits and `-_/@+`")
    }
}

fn model_id(target: &str) -> Result<(), &'static str> {
    if target.chars().all(is_id_char) && !target.starts_with(['.', ':']) {
        Ok(())
    } else {
        Err(
            "is not a model ID or inference profile ID: use letters, digits and `.:-_`, as in `us.amazon.nova-lite-v1:0`",
        )
    }
}

fn is_id_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_')
}

/// The parts of `arn:partition:service:region:account:resource`.
struct Arn<'a> {
    partition: &'a str,
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(target: &'a str) -> Option<Self> {
        let mut parts = target.strip_prefix("arn:")?.splitn(5, ':');
        Some(Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        })
    }
}

fn arn(target: &str) -> Result<(), &'static str> {
    let arn = Arn::parse(target)
        .ok_or("is not an ARN: its parts must be `arn:partition:bedrock:region:account:type/id`")?;
    let lower = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if arn.partition != "aws" && !(arn.partition.starts_with("aws-") && lower(arn.partition)) {
        return Err(
            "is not an ARN of AWS: the second part must be an AWS partition, such as `aws`, `aws-cn` or `aws-us-gov`",
        );
    }
    if arn.region.is_empty() || arn.region.len() > 20 || !lower(arn.region) {
        return Err(
            "is an ARN without a Region: the fourth part must be a Region, such as `us-east-1`",
        );
    }
    let (kind, id) = arn
        .resource
        .split_once('/')
        .ok_or("is not an ARN that can be called: the sixth part must be `type/id`")?;
    let segments_are_whole = id.split('/').all(|segment| !segment.is_empty());
    if kind.is_empty() || !lower(kind) || !id.chars().all(|c| c == '/' || is_id_char(c)) {
        return Err("is not an ARN that can be called: the sixth part must be `type/id`");
    }
    if !segments_are_whole {
        return Err("is not an ARN that can be called: an ID is missing after a `/`");
    }
    match arn.service {
        "bedrock" => bedrock_resource(arn.account, kind, id),
        "sagemaker" if kind != "endpoint" => {
            Err("is not the ARN of a SageMaker endpoint: the sixth part must be `endpoint/name`")
        }
        "sagemaker" => account(arn.account),
        _ => Err("is an ARN of another service: the third part must be `bedrock` or `sagemaker`"),
    }
}

fn bedrock_resource(owner: &str, kind: &str, id: &str) -> Result<(), &'static str> {
    if kind == "foundation-model" {
        return if owner.is_empty() {
            Ok(())
        } else {
            Err(
                "is not the ARN of a foundation model: leave its account empty, `...:region::foundation-model/...`",
            )
        };
    }
    account(owner)?;
    let of_length = |id: &str, length| {
        id.len() == length && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match kind {
        "provisioned-model" | "custom-model-deployment" | "imported-model"
            if !of_length(id, 12) =>
        {
            Err(
                "is not the ARN of a provisioned, imported or deployed model: the ID must have 12 letters and digits",
            )
        }
        "prompt" => {
            let (prompt, version) = id.split_once(':').unwrap_or((id, "1"));
            let version_is_number = (1..=5).contains(&version.len())
                && version.bytes().all(|byte| byte.is_ascii_digit());
            if of_length(prompt, 10) && version_is_number {
                Ok(())
            } else {
                Err(
                    "is not the ARN of a prompt: use `prompt/`, an ID of 10 letters and digits, and optionally `:` and a version of 1 to 5 digits",
                )
            }
        }
        _ => Ok(()),
    }
}

fn account(account: &str) -> Result<(), &'static str> {
    if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(())
    } else {
        Err("is an ARN without an account: the fifth part must be an account ID of 12 digits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let prompt = "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1";
        for (target, expected) in [
            ("fast", Shape::Alias),
            ("team/chat", Shape::Alias),
            ("amazon.nova-lite-v1:0", Shape::ModelId),
            ("global.anthropic.claude-opus-4-8", Shape::ModelId),
            (prompt, Shape::Prompt),
            (
                "arn:aws:bedrock:us-east-1:123456789012:prompt-router/a.b:0",
                Shape::Arn,
            ),
            (
                "arn:aws:sagemaker:us-east-1:123456789012:prompt/x",
                Shape::Arn,
            ),
            ("arn:", Shape::Arn),
            ("ARN:aws", Shape::Arn),
            ("é:", Shape::ModelId),
        ] {
            assert_eq!(shape(target), expected, "{target}");
        }
    }
}
