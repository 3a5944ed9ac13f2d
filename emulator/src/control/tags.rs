//! Lists, adds and removes tags of resources.

use serde_json::{Value, json};

use super::{
    super::{
        account::{Account, NotTagged, Tags},
        error::WireError,
        script::ApiError,
        shape,
    },
    api,
    refusal::not_found,
};

pub(super) fn list(request: &Value, region: &str, account: &Account) -> Result<Value, WireError> {
    shape::check(&[], request, &api::LIST_TAGS)?;
    let arn = arn(request);
    let tags = account
        .tags(arn, region)
        .map_err(|error| refused(&error, arn))?;
    let tags: Vec<_> = tags
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    Ok(json!({ "tags": tags }))
}

pub(super) fn tag(request: &Value, region: &str, account: &Account) -> Result<Value, WireError> {
    shape::check(&[], request, &api::TAG)?;
    let arn = arn(request);
    account
        .tag(arn, region, read(request)?)
        .map_err(|error| refused(&error, arn))?;
    Ok(json!({}))
}

pub(super) fn untag(request: &Value, region: &str, account: &Account) -> Result<Value, WireError> {
    shape::check(&[], request, &api::UNTAG)?;
    let arn = arn(request);
    let keys = request["tagKeys"].as_array().into_iter().flatten();
    let keys: Vec<_> = keys.filter_map(Value::as_str).collect();
    account
        .untag(arn, region, &keys)
        .map_err(|error| refused(&error, arn))?;
    Ok(json!({}))
}

/// Returns the tags of a valid request.
pub(super) fn read(request: &Value) -> Result<Tags, WireError> {
    let mut tags = Tags::new();
    for tag in request["tags"].as_array().into_iter().flatten() {
        let text = |name: &str| tag[name].as_str().unwrap_or_default().to_owned();
        let key = text("key");
        if key.starts_with("aws:") {
            let message =
                format!("The tag key {key} is invalid: keys that begin with aws: are AWS's own.");
            return Err(ApiError::validation(message).into());
        }
        tags.insert(key, text("value"));
    }
    Ok(tags)
}

fn arn(request: &Value) -> &str {
    request["resourceARN"].as_str().unwrap_or_default()
}

fn refused(error: &NotTagged, arn: &str) -> WireError {
    match error {
        NotTagged::NoResource => not_found(&format!("Resource {arn} not found.")),
        NotTagged::TooMany(most) => {
            let message = format!("A resource can have {most} tags at most.");
            let mut error = WireError::bedrock(400, "TooManyTagsException", message);
            error.members.insert("resourceName".to_owned(), arn.into());
            error
        }
    }
}
