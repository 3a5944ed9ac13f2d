//! Lists and returns foundation models.

use serde_json::{Value, json};

use super::{
    super::{
        catalogue::{Arn, MODELS, Model, Output, Provisioned},
        error::WireError,
        lifecycle::LifeCycle,
        projects::Visibility,
        timestamp::iso8601,
        uri,
    },
    refusal::{not_found, one_of},
};

pub(super) fn list(
    query: &str,
    region: &str,
    lives: &LifeCycle,
    visible: &Visibility,
) -> Result<Value, WireError> {
    let filter = |name, known| one_of(uri::query(query, name), name, known);
    let provider = uri::query(query, "byProvider");
    let output = filter("byOutputModality", &["TEXT", "IMAGE", "EMBEDDING"])?;
    let inference = filter("byInferenceType", &["ON_DEMAND", "PROVISIONED"])?;
    let customization = filter(
        "byCustomizationType",
        &["FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION"],
    )?;
    let wanted = MODELS.iter().filter(|model| {
        model.is_in(region)
            && visible.shows(model.id)
            && provider
                .as_ref()
                .is_none_or(|name| model.provider.eq_ignore_ascii_case(name))
            && output
                .as_ref()
                .is_none_or(|modality| modality == output_of(model))
            && inference
                .as_ref()
                .is_none_or(|kind| inference_types(model, region).contains(&kind.as_str()))
            && customization.is_none()
    });
    let summaries: Vec<_> = wanted.map(|model| shown(model, region, lives)).collect();
    Ok(json!({"modelSummaries": summaries}))
}

pub(super) fn get(
    identifier: &str,
    region: &str,
    lives: &LifeCycle,
    visible: &Visibility,
) -> Result<Value, WireError> {
    let id = Arn::parse(identifier).map_or(identifier, |arn| arn.id);
    let model = Model::find(id)
        .filter(|model| model.is_in(region) && visible.shows(model.id))
        .ok_or_else(|| {
            not_found("Could not resolve the foundation model from the provided model identifier.")
        })?;
    Ok(json!({"modelDetails": shown(model, region, lives)}))
}

const fn output_of(model: &Model) -> &'static str {
    match model.output {
        // The ranking is a text in JSON.
        Output::Text | Output::Ranking => "TEXT",
        Output::Embedding => "EMBEDDING",
        Output::Image => "IMAGE",
    }
}

fn inference_types(model: &Model, region: &str) -> Vec<&'static str> {
    let own = if model.on_demand {
        "ON_DEMAND"
    } else {
        "INFERENCE_PROFILE"
    };
    let has_units = |provisioned: &'static Provisioned| {
        provisioned
            .model()
            .is_some_and(|served| served.id == model.id)
    };
    let provisioned = Provisioned::list(region).any(has_units);
    let mut types = vec![own];
    types.extend(provisioned.then_some("PROVISIONED"));
    types
}

fn shown(model: &Model, region: &str, lives: &LifeCycle) -> Value {
    let end = lives.end_of(model.id);
    // AWS makes a model legacy when it announces its end of life.
    let is_legacy = model.legacy || end.is_some();
    let mut life = json!({
        "status": if is_legacy { "LEGACY" } else { "ACTIVE" },
        "startOfLifeTime": model.since,
    });
    if let Some(end) = end {
        life["endOfLifeTime"] = json!(iso8601(end));
    }
    json!({
        "modelArn": model.arn(region),
        "modelId": model.id,
        "modelName": model.name,
        "providerName": model.provider,
        "inputModalities": model.input,
        "outputModalities": [output_of(model)],
        "responseStreamingSupported": model.output == Output::Text,
        "customizationsSupported": [],
        "inferenceTypesSupported": inference_types(model, region),
        "modelLifecycle": life,
    })
}
