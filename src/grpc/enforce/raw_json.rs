//! Enforces the rules for fields in JSON that callers write, too. Raw members can be anywhere in
//! the body. Native fields of the model can have the same meaning as fields of Bedrock.

use super::{Enforced, guardrail, s3, tier, tokens};
use crate::{
    config::s3::S3Locations,
    pb::{ConverseInput, RawMember, converse_input::AdditionalModelRequestFields as Fields},
    translate::visit_json::{self, Leaf},
    validate::Violations,
};

/// `additionalModelRequestFields`, as [`visit_json::plain`] writes it.
const FIELDS: &str = "additionalmodelrequestfields";

/// The operator decides which projects can be used, and so no other spelling is accepted.
const PROJECT: &str =
    "is not allowed here: set project_identifier instead, if this gateway allows the project";

pub(super) fn check(
    enforced: &Enforced<'_>,
    locations: &S3Locations,
    input: &ConverseInput,
    out: &mut Violations,
) {
    let rules = Rules {
        enforced,
        locations,
    };
    if let Some(fields) = &input.additional_model_request_fields {
        let field = match fields {
            Fields::AdditionalModelRequestFieldsJson(_) => "additional_model_request_fields_json",
            Fields::AdditionalModelRequestFieldsStruct(_) => {
                "additional_model_request_fields_struct"
            }
        };
        out.field(field, |out| {
            visit_json::visit_fields(fields, &mut |name, leaf| {
                rules.value(true, name, leaf, out);
            });
        });
    }
    out.items("raw_members", &input.raw_members, |member, out| {
        rules.raw_member(member, out);
    });
}

pub(super) struct Rules<'a> {
    pub(super) enforced: &'a Enforced<'a>,
    pub(super) locations: &'a S3Locations,
}

impl Rules<'_> {
    fn raw_member(&self, member: &RawMember, out: &mut Violations) {
        let steps = visit_json::steps(&member.pointer);
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
            return;
        };
        if let Some(reason) = self.reserved(first, steps.get(1)) {
            out.add_at("pointer", reason);
            return;
        }
        let in_fields = first == FIELDS;
        let between = steps.get(1..steps.len() - 1).unwrap_or_default();
        out.field("pointer", |out| {
            for step in between {
                self.value(in_fields, step, Leaf::Nested, out);
            }
        });
        out.field("json", |out| {
            visit_json::visit(&member.json, last, &mut |name, leaf| {
                self.value(in_fields, name, leaf, out);
            });
        });
    }

    /// Returns why raw members are not allowed at this position. `None` if they are allowed.
    fn reserved(&self, first: &str, second: Option<&String>) -> Option<&'static str> {
        let policy = self.enforced.policy;
        match first {
            "requestmetadata" if !self.enforced.attribution.is_empty() => Some(
                "this gateway sets request metadata; put your own pairs into input.request_metadata",
            ),
            "guardrailconfig" if policy.enforced_guardrail().is_some() => {
                Some("this gateway enforces a guardrail; remove this raw member")
            }
            "servicetier" if policy.service_tiers.is_some() => {
                Some("this gateway limits the service tiers; set input.service_tier instead")
            }
            "projectidentifier" => Some(PROJECT),
            "inferenceconfig"
                if policy.max_tokens.is_some()
                    && second.is_none_or(|name| tokens::is_name(name)) =>
            {
                Some(
                    "this gateway limits the number of output tokens; set input.inference_config.max_tokens instead",
                )
            }
            _ => None,
        }
    }

    /// Checks a value. `name` is the name of its member, as [`visit_json::plain`] writes it.
    /// `in_fields` is true if the value can be a parameter of the model.
    pub(super) fn value(&self, in_fields: bool, name: &str, leaf: Leaf<'_>, out: &mut Violations) {
        let policy = self.enforced.policy;
        if let Leaf::Text(text) = leaf
            && s3::is_location(text)
            && !self.locations.admit(text)
        {
            out.add(s3::refusal(text));
        }
        let has_guardrail = policy.enforced_guardrail().is_some();
        if has_guardrail && name == "guardcontent" {
            out.add(guardrail::SELECTIVE);
        }
        if !in_fields || leaf == Leaf::Null {
            return;
        }
        if has_guardrail && name.contains("guardrail") {
            out.add("this gateway enforces a guardrail; remove these settings");
        }
        if name == "projectidentifier" {
            out.add(PROJECT);
        }
        if name.contains("requestmetadata") && !self.enforced.attribution.is_empty() {
            out.add("this gateway sets request metadata; remove it");
        }
        if let Some(tiers) = &policy.service_tiers
            && name.contains("servicetier")
            && !matches!(leaf, Leaf::Text(text) if tiers.iter().any(|tier| tier.as_str() == text))
        {
            out.add(tier::refusal(tiers));
        }
        if let Some(ceiling) = policy.max_tokens {
            let number = match leaf {
                Leaf::Number(number) => number,
                Leaf::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
                Leaf::Boolean | Leaf::Null | Leaf::Nested => return,
            };
            if tokens::is_name(name) && !tokens::is_within(number, ceiling) {
                out.add(tokens::refusal(ceiling));
            } else if tokens::is_answers(name) && number > 1.0 {
                out.add(tokens::ONE_ANSWER);
            }
        }
    }
}
