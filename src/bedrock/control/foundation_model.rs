//! A foundation model, as returned by ListFoundationModels.

use std::time::SystemTime;

use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A foundation model in one source Region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundationModel {
    /// The model's ID, such as `anthropic.claude-sonnet-5`.
    pub id: String,
    /// When calls to the model begin to fail. `None` if AWS has not announced it.
    pub end_of_life: Option<SystemTime>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    #[serde(default, rename = "modelSummaries")]
    pub(super) models: Vec<Summary>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Summary {
    model_id: String,
    model_lifecycle: Option<LifeCycle>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LifeCycle {
    end_of_life_time: Option<String>,
}

impl From<Summary> for FoundationModel {
    fn from(summary: Summary) -> Self {
        let life = summary.model_lifecycle.unwrap_or_default();
        let end = life.end_of_life_time;
        // A time in an unknown format is treated like an unknown time: calls do not depend on it.
        let end = end.and_then(|end| OffsetDateTime::parse(&end, &Rfc3339).ok());
        Self {
            id: summary.model_id,
            end_of_life: end.map(SystemTime::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn ends_of_life_are_optional() {
        let list = r#"{"modelSummaries": [
            {"modelId": "a.b", "modelLifecycle": {"status": "LEGACY", "endOfLifeTime": "1970-01-02T00:00:00Z"}},
            {"modelId": "a.c", "modelLifecycle": {"status": "ACTIVE"}},
            {"modelId": "a.d", "modelLifecycle": {"endOfLifeTime": "soon"}},
            {"modelId": "a.e"}
        ]}"#;
        let list: List = serde_json::from_str(list).expect("a list");
        let models = list.models.into_iter().map(FoundationModel::from);
        let day = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        let ends: Vec<_> = models.map(|model| (model.id, model.end_of_life)).collect();
        let expected = [
            ("a.b", Some(day)),
            ("a.c", None),
            ("a.d", None),
            ("a.e", None),
        ];
        assert_eq!(ends, expected.map(|(id, end)| (id.to_owned(), end)));
    }
}
