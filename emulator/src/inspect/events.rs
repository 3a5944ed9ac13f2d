//! Provides the log of calls as CloudTrail records. GET returns it, with the newest record last. As
//! in AWS, only these records show which Region served a call.

use http::Method;
use serde_json::{Value, json};

use super::{
    super::{
        calls::{Call, CallLog},
        timestamp,
    },
    reply::{Problem, Reply},
};

pub(super) fn answer(method: &Method, log: &CallLog) -> Reply {
    if *method != Method::GET {
        return Err(Problem::Method(
            "Use GET to read the events, and DELETE /_emulator/calls to clear them.",
        ));
    }
    let calls = log.snapshot();
    // CloudTrail does not record a call that has no answer.
    let answered = calls
        .iter()
        .filter(|call| call.status.is_some() && !call.operation.is_empty());
    Ok(json!({"Records": answered.map(record).collect::<Vec<_>>()}))
}

fn record(call: &Call) -> Value {
    let runs = matches!(
        call.operation,
        "Converse"
            | "ConverseStream"
            | "InvokeModel"
            | "InvokeModelWithResponseStream"
            | "CountTokens"
    );
    let parameters = if call.operation == "ApplyGuardrail" {
        Some(json!({"guardrailIdentifier": call.model_id}))
    } else {
        runs.then(|| match &call.project {
            Some(project) => json!({"modelId": call.model_id, "projectIdentifier": project}),
            None => json!({"modelId": call.model_id}),
        })
    };
    let is_sts = matches!(call.operation, "AssumeRole" | "GetCallerIdentity");
    let mut record = json!({
        "eventTime": timestamp::iso8601(call.time),
        "eventSource": if is_sts { "sts.amazonaws.com" } else { "bedrock.amazonaws.com" },
        "eventName": call.operation,
        "awsRegion": call.region,
        "recipientAccountId": call.account,
        "requestID": call.request_id,
        "requestParameters": parameters,
    });
    if let Some(arn) = &call.assumed_role {
        record["userIdentity"] =
            json!({"type": "AssumedRole", "arn": arn, "accountId": call.account});
    }
    if let Some(region) = &call.inference_region {
        record["additionalEventData"] = json!({"inferenceRegion": region});
    }
    if let Some(code) = &call.error_code {
        record["errorCode"] = code.as_str().into();
    }
    record
}
