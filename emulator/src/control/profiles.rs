//! Lists, returns, creates and deletes inference profiles.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{
    super::{
        account::{Account, TokenUsed},
        catalogue::{self, Arn, Model, Profile, ProfileType},
        error::WireError,
        projects::Visibility,
        script::ApiError,
        shape, timestamp, uri,
    },
    api,
    page::page,
    refusal::{not_found, one_of},
    tags,
};

/// Lists profiles. With a project, lists only system-defined profiles.
pub(super) fn list(
    query: &str,
    region: &str,
    account: &Account,
    visible: &Visibility,
) -> Result<Value, WireError> {
    let known = [ProfileType::SystemDefined, ProfileType::Application].map(ProfileType::as_str);
    let kind = one_of(uri::query(query, "type"), "typeEquals", &known)?;
    let application = ProfileType::Application;
    if visible.has_project() && kind.as_deref() == Some(application.as_str()) {
        return Err(not_in_projects());
    }
    let wanted = account.list(region).into_iter().filter(|profile| {
        let is_visible =
            visible.shows(&profile.id) && (profile.kind != application || !visible.has_project());
        is_visible
            && kind
                .as_deref()
                .is_none_or(|kind| profile.kind.as_str() == kind)
    });
    let (page, next) = page(query, wanted, |profile| &profile.id)?;
    let summaries: Vec<_> = page.iter().map(shown).collect();
    let mut body = json!({"inferenceProfileSummaries": summaries});
    if let Some(token) = next {
        body["nextToken"] = token.into();
    }
    Ok(body)
}

pub(super) fn get(
    identifier: &str,
    region: &str,
    account: &Account,
    visible: &Visibility,
) -> Result<Value, WireError> {
    let profile = find(identifier, region, account)?;
    if profile.kind == ProfileType::Application && visible.has_project() {
        return Err(not_in_projects());
    }
    if visible.shows(&profile.id) {
        Ok(shown(&profile))
    } else {
        Err(no_profile(identifier))
    }
}

fn not_in_projects() -> WireError {
    let message =
        "Application inference profiles don't support projects other than the default project.";
    ApiError::validation(message).into()
}

/// Creates an application profile. It is a copy of a system-defined profile, or of a foundation
/// model in this Region only.
pub(super) fn create(
    request: &Value,
    region: &str,
    account: &Account,
    now: SystemTime,
) -> Result<Value, WireError> {
    shape::check(&[], request, &api::CREATE_INFERENCE_PROFILE)?;
    let tags = tags::read(request)?;
    let text = |name: &str| request[name].as_str();
    let source = source(
        request["modelSource"]["copyFrom"]
            .as_str()
            .unwrap_or_default(),
        region,
        account,
    )?;
    let mut rest = request.clone();
    if let Some(members) = rest.as_object_mut() {
        members.remove("clientRequestToken");
    }
    let created = timestamp::iso8601(now);
    let name = text("inferenceProfileName").unwrap_or_default();
    let description = text("description").map(str::to_owned);
    let made = account.create(region, text("clientRequestToken"), &rest, tags, |id| {
        catalogue::application(id, name, description, created, source, region)
    });
    let profile = made.map_err(|TokenUsed| {
        let message =
            "The clientRequestToken was used before, with other parameters. Give another one.";
        WireError::bedrock(400, "ConflictException", message)
    })?;
    Ok(json!({"inferenceProfileArn": profile.arn, "status": "ACTIVE"}))
}

pub(super) fn delete(
    identifier: &str,
    region: &str,
    account: &Account,
) -> Result<Value, WireError> {
    let profile = find(identifier, region, account)?;
    if profile.kind == ProfileType::SystemDefined {
        let message = "System-defined inference profiles can't be deleted.";
        return Err(ApiError::validation(message).into());
    }
    if account.delete(&profile.id, region) {
        Ok(json!({}))
    } else {
        // Another call has deleted the profile first.
        Err(no_profile(identifier))
    }
}

/// Returns the profile from which an application profile is copied.
fn source(arn: &str, region: &str, account: &Account) -> Result<Profile, WireError> {
    let invalid = |why: &str| {
        let message = format!("The model source {arn} can't be copied: {why}");
        WireError::from(ApiError::validation(message))
    };
    let parsed = Arn::parse(arn).ok_or_else(|| invalid("it is not an ARN of Bedrock."))?;
    if parsed.region != region {
        return Err(invalid("it is in another Region."));
    }
    if parsed.kind == ProfileType::SystemDefined.resource() {
        let profile = account.find(parsed.id, region);
        let profile = profile.filter(|profile| profile.kind == ProfileType::SystemDefined);
        return profile.ok_or_else(|| no_profile(arn));
    }
    let model = Model::find(parsed.id).filter(|model| model.is_in(region));
    let model = model.ok_or_else(|| not_found(&format!("Foundation model {arn} not found.")))?;
    if !model.on_demand {
        return Err(invalid(
            "the model has no on-demand throughput. Copy an inference profile that contains it.",
        ));
    }
    Ok(catalogue::of_model(model, region))
}

fn find(identifier: &str, region: &str, account: &Account) -> Result<Profile, WireError> {
    let id = match Arn::parse(identifier) {
        Some(arn) if arn.region != region => {
            let message = "The provided inference profile identifier is invalid.";
            return Err(ApiError::validation(message).into());
        }
        Some(arn) => arn.id,
        None => identifier,
    };
    account
        .find(id, region)
        .ok_or_else(|| no_profile(identifier))
}

fn no_profile(identifier: &str) -> WireError {
    not_found(&format!("Inference profile {identifier} not found."))
}

fn shown(profile: &Profile) -> Value {
    let models = profile
        .model_arns
        .iter()
        .map(|arn| json!({"modelArn": arn}));
    let mut shown = json!({
        "inferenceProfileName": profile.name,
        "createdAt": profile.created,
        "updatedAt": profile.created,
        "inferenceProfileArn": profile.arn,
        "models": models.collect::<Vec<_>>(),
        "inferenceProfileId": profile.id,
        "status": "ACTIVE",
        "type": profile.kind.as_str(),
    });
    if let Some(description) = &profile.description {
        shown["description"] = description.as_str().into();
    }
    shown
}
