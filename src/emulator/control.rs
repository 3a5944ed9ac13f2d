//! The control plane: inference profiles and foundation models, in the shapes of the API's model.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::{Map, Value, json};

use super::{
    catalogue::{self, Arn, MODELS, Model, Profile, ProfileType},
    error::{WireError, json},
    script::ApiError,
    uri::{self, Operation},
};

/// Profiles on a page when the call does not say.
const PAGE: usize = 100;
/// The most that a call can ask for.
const MAX_PAGE: usize = 1000;

/// Answers a control-plane call from a source Region.
///
/// # Errors
/// Bedrock's own: bad parameters, unknown identifiers, an operation that does not exist.
pub(super) fn answer(
    operation: &Operation,
    query: &str,
    region: &str,
) -> Result<Response<Full<Bytes>>, WireError> {
    let body = match operation {
        Operation::ListInferenceProfiles => list_inference_profiles(query, region)?,
        Operation::GetInferenceProfile(id) => get_inference_profile(id, region)?,
        Operation::ListFoundationModels => list_foundation_models(query, region)?,
        Operation::GetFoundationModel(id) => {
            let id = Arn::parse(id).map_or(id.as_str(), |arn| arn.id);
            let model = Model::find(id).filter(|model| model.is_in(region)).ok_or_else(|| {
                not_found("Could not resolve the foundation model from the provided model identifier.")
            })?;
            json!({"modelDetails": foundation_model(model, region)})
        }
        _ => {
            return Err(WireError::front_door(
                404,
                "UnknownOperationException",
                "Unknown operation.",
            ));
        }
    };
    Ok(json(200, &body))
}

fn list_inference_profiles(query: &str, region: &str) -> Result<Value, WireError> {
    let kind = uri::query(query, "type");
    let known = [ProfileType::SystemDefined, ProfileType::Application].map(ProfileType::as_str);
    if let Some(kind) = kind.as_deref().filter(|kind| !known.contains(kind)) {
        return Err(constraint(
            kind,
            "typeEquals",
            &format!("Member must satisfy enum value set: [{}]", known.join(", ")),
        ));
    }
    let size = match uri::query(query, "maxResults") {
        None => PAGE,
        Some(text) => match text.parse() {
            Ok(size @ 1..=MAX_PAGE) => size,
            _ => {
                let rule = format!("Member must have value between 1 and {MAX_PAGE}");
                return Err(constraint(&text, "maxResults", &rule));
            }
        },
    };
    let profiles = catalogue::list_profiles(region);
    let mut wanted = profiles.iter().filter(|profile| {
        kind.as_deref()
            .is_none_or(|kind| profile.kind.as_str() == kind)
    });
    if let Some(token) = uri::query(query, "nextToken") {
        let last = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap_or_default();
        let found = wanted.any(|profile| profile.id.as_bytes() == last);
        if !found {
            return Err(ApiError::validation("The provided nextToken is invalid.").into());
        }
    }
    let page: Vec<&Profile> = wanted.by_ref().take(size).collect();
    let mut body = Map::new();
    if let (Some(last), Some(_)) = (page.last(), wanted.next()) {
        body.insert(
            "nextToken".to_owned(),
            BASE64_URL_SAFE_NO_PAD.encode(&last.id).into(),
        );
    }
    body.insert(
        "inferenceProfileSummaries".to_owned(),
        page.into_iter().map(inference_profile).collect(),
    );
    Ok(Value::Object(body))
}

fn get_inference_profile(identifier: &str, region: &str) -> Result<Value, WireError> {
    let id = match Arn::parse(identifier) {
        Some(arn) if arn.region != region => {
            return Err(ApiError::validation(
                "The provided inference profile identifier is invalid.",
            )
            .into());
        }
        Some(arn) => arn.id,
        None => identifier,
    };
    let profile = catalogue::find_profile(id, region)
        .ok_or_else(|| not_found(&format!("Inference profile {identifier} not found.")))?;
    Ok(inference_profile(&profile))
}

fn inference_profile(profile: &Profile) -> Value {
    let models = profile
        .model_arns
        .iter()
        .map(|arn| json!({"modelArn": arn}));
    json!({
        "inferenceProfileName": profile.name,
        "description": profile.description,
        "createdAt": profile.since,
        "updatedAt": profile.since,
        "inferenceProfileArn": profile.arn,
        "models": models.collect::<Vec<_>>(),
        "inferenceProfileId": profile.id,
        "status": "ACTIVE",
        "type": profile.kind.as_str(),
    })
}

fn list_foundation_models(query: &str, region: &str) -> Result<Value, WireError> {
    let filter = |name, known: &[&str]| match uri::query(query, name) {
        Some(value) if !known.is_empty() && !known.contains(&value.as_str()) => {
            let rule = format!("Member must satisfy enum value set: [{}]", known.join(", "));
            Err(constraint(&value, name, &rule))
        }
        value => Ok(value),
    };
    let provider = filter("byProvider", &[])?;
    let output = filter("byOutputModality", &["TEXT", "IMAGE", "EMBEDDING"])?;
    let inference = filter("byInferenceType", &["ON_DEMAND", "PROVISIONED"])?;
    let customization = filter(
        "byCustomizationType",
        &["FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION"],
    )?;
    let wanted = MODELS.iter().filter(|model| {
        model.is_in(region)
            && provider
                .as_ref()
                .is_none_or(|name| model.provider.eq_ignore_ascii_case(name))
            && output.as_ref().is_none_or(|modality| modality == "TEXT")
            && inference
                .as_ref()
                .is_none_or(|kind| model.on_demand && kind == "ON_DEMAND")
            && customization.is_none()
    });
    let summaries: Vec<_> = wanted
        .map(|model| foundation_model(model, region))
        .collect();
    Ok(json!({"modelSummaries": summaries}))
}

fn foundation_model(model: &Model, region: &str) -> Value {
    let inference = if model.on_demand {
        json!(["ON_DEMAND"])
    } else {
        json!(["INFERENCE_PROFILE"])
    };
    json!({
        "modelArn": model.arn(region),
        "modelId": model.id,
        "modelName": model.name,
        "providerName": model.provider,
        "inputModalities": model.input,
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": true,
        "customizationsSupported": [],
        "inferenceTypesSupported": inference,
        "modelLifecycle": {
            "status": if model.legacy { "LEGACY" } else { "ACTIVE" },
            "startOfLifeTime": model.since,
        },
    })
}

fn constraint(value: &str, name: &str, rule: &str) -> WireError {
    let message = format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {rule}"
    );
    ApiError::validation(message).into()
}

fn not_found(message: &str) -> WireError {
    WireError::bedrock(404, "ResourceNotFoundException", message)
}
