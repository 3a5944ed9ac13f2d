//! Lists and returns Provisioned Throughput.

use serde_json::{Value, json};

use super::{
    super::{
        catalogue::{Arn, Provisioned},
        error::WireError,
        uri,
    },
    page::page,
    refusal::{not_found, one_of},
};

const STATUS: &str = "InService";

pub(super) fn list(query: &str, region: &str) -> Result<Value, WireError> {
    let filter = |name, known| one_of(uri::query(query, name), name, known);
    let status = filter("statusEquals", &["Creating", STATUS, "Updating", "Failed"])?;
    filter("sortBy", &["CreationTime"])?;
    let order = filter("sortOrder", &["Ascending", "Descending"])?;
    let model = uri::query(query, "modelArnEquals");
    let name = uri::query(query, "nameContains");
    let (after, before) = (
        uri::query(query, "creationTimeAfter"),
        uri::query(query, "creationTimeBefore"),
    );
    let wanted = Provisioned::list(region).filter(|one| {
        status.as_deref().is_none_or(|status| status == STATUS)
            && name.as_ref().is_none_or(|part| one.name.contains(part))
            && model.as_ref().is_none_or(|arn| of_model(one, arn, region))
            // Times in ISO 8601 and UTC can be compared as text.
            && after.as_deref().is_none_or(|time| one.since > time)
            && before.as_deref().is_none_or(|time| one.since < time)
    });
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort_by_key(|one| one.since);
    // The newest one is first, unless the call requests ascending order.
    if order.as_deref() != Some("Ascending") {
        wanted.reverse();
    }
    let (page, next) = page(query, wanted, |one| one.id)?;
    let summaries: Vec<_> = page.into_iter().map(|one| shown(one, region)).collect();
    let mut body = json!({"provisionedModelSummaries": summaries});
    if let Some(token) = next {
        body["nextToken"] = token.into();
    }
    Ok(body)
}

pub(super) fn get(identifier: &str, region: &str) -> Result<Value, WireError> {
    let id = match Arn::parse(identifier) {
        Some(arn) if arn.region == region => arn.id,
        Some(_) => "",
        None => identifier,
    };
    let found = Provisioned::list(region).find(|one| one.id == id || one.name == id);
    let found = found.ok_or_else(|| {
        not_found(&format!(
            "Provisioned model throughput {identifier} not found."
        ))
    })?;
    Ok(shown(found, region))
}

fn of_model(one: &Provisioned, arn: &str, region: &str) -> bool {
    one.model().is_some_and(|model| model.arn(region) == arn)
}

fn shown(one: &Provisioned, region: &str) -> Value {
    let model = one.model().map(|model| model.arn(region));
    json!({
        "provisionedModelName": one.name,
        "provisionedModelArn": one.arn(region),
        "modelArn": model,
        "desiredModelArn": model,
        "foundationModelArn": model,
        "modelUnits": one.units,
        "desiredModelUnits": one.units,
        "status": STATUS,
        "creationTime": one.since,
        "lastModifiedTime": one.since,
    })
}
