//! Guardrails: defaults are filled in field by field, enforced ones can be neither replaced nor
//! bypassed.

use bedrock_grpc::pb::{
    ContentBlock, GuardrailConverseContentBlock, GuardrailConverseTextBlock,
    GuardrailStreamConfiguration, GuardrailStreamProcessingMode, GuardrailTrace,
    StreamInvokeRequest, SystemContentBlock, content_block, guardrail_converse_content_block,
    system_content_block,
};
use serde_json::{Value, json};

use super::{gateway, refused, sent, with_fields, with_raw};
use crate::harness::ask;

const DEFAULT: &str = "
targets:
  t:
    model_id: amazon.nova-lite-v1:0
    defaults: {guardrail: {identifier: gr1, version: '7', stream_processing_mode: sync}}
";
/// For all targets.
const ENFORCED: &str = "
guardrail: {identifier: gr1, version: '7', stream_processing_mode: sync, enforced: true}
targets: {t: {model_id: 'amazon.nova-lite-v1:0'}}
";

fn with(config: GuardrailStreamConfiguration) -> StreamInvokeRequest {
    let mut request = ask("t");
    request.input.get_or_insert_default().guardrail_config = Some(config);
    request
}

fn own(identifier: &str) -> GuardrailStreamConfiguration {
    GuardrailStreamConfiguration {
        guardrail_identifier: Some(identifier.to_owned()),
        guardrail_version: Some("DRAFT".to_owned()),
        ..GuardrailStreamConfiguration::default()
    }
}

fn traced(trace: GuardrailTrace) -> GuardrailStreamConfiguration {
    GuardrailStreamConfiguration {
        trace: trace.into(),
        ..GuardrailStreamConfiguration::default()
    }
}

fn ours() -> Value {
    json!({"guardrailIdentifier": "gr1", "guardrailVersion": "7", "streamProcessingMode": "sync"})
}

fn marked() -> GuardrailConverseContentBlock {
    GuardrailConverseContentBlock {
        content: Some(guardrail_converse_content_block::Content::Text(
            GuardrailConverseTextBlock {
                text: "harmless".to_owned(),
                ..GuardrailConverseTextBlock::default()
            },
        )),
    }
}

#[tokio::test]
async fn a_default_is_filled_in_field_by_field() {
    let gateway = gateway(DEFAULT).await;
    let body = sent(&gateway, ask("t")).await;
    assert_eq!(body["guardrailConfig"], ours());
    let body = sent(&gateway, with(traced(GuardrailTrace::Disabled))).await;
    let mut expected = ours();
    expected["trace"] = json!("disabled");
    assert_eq!(body["guardrailConfig"], expected);
    let body = sent(&gateway, with(own("mine"))).await;
    assert_eq!(
        body["guardrailConfig"],
        json!({"guardrailIdentifier": "mine", "guardrailVersion": "DRAFT", "streamProcessingMode": "sync"})
    );
    // Raw members count as settings of the caller, too.
    let body = sent(
        &gateway,
        with_raw(&[("/guardrailConfig/trace", "\"enabled\"")]),
    )
    .await;
    expected["trace"] = json!("enabled");
    assert_eq!(body["guardrailConfig"], expected);
}

#[tokio::test]
async fn a_raw_member_replaces_a_default_only_by_naming_a_guardrail() {
    let gateway = gateway(DEFAULT).await;
    let theirs = json!({"guardrailIdentifier": "mine", "guardrailVersion": "1"});
    let body = sent(
        &gateway,
        with_raw(&[("/guardrailConfig", &theirs.to_string())]),
    )
    .await;
    assert_eq!(body["guardrailConfig"], theirs);
    for json in [
        "{}",
        "null",
        "[]",
        "{\"trace\": \"disabled\"}",
        "{\"streamProcessingMode\": \"async\"}",
        "{\"guardrailIdentifier\": \"\"}",
        "{\"guardrailIdentifier\": null, \"guardrailVersion\": \"1\"}",
    ] {
        let request = with_raw(&[("/guardrailConfig", json)]);
        refused(&gateway, request, "input.raw_members[0].pointer").await;
    }
    let nulls = [
        ("/guardrailConfig/guardrailIdentifier", "null"),
        ("/guardrailConfig/guardrailVersion", "null"),
    ];
    refused(&gateway, with_raw(&nulls), "input.raw_members[0].pointer").await;
}

#[tokio::test]
async fn an_empty_message_is_refused() {
    for config in [
        DEFAULT,
        ENFORCED,
        "targets: {t: {model_id: 'amazon.nova-lite-v1:0'}}",
    ] {
        let gateway = gateway(config).await;
        let empty = GuardrailStreamConfiguration::default();
        refused(&gateway, with(empty), "input.guardrail_config").await;
        let empty = GuardrailStreamConfiguration {
            guardrail_identifier: Some(String::new()),
            guardrail_version: Some(String::new()),
            ..GuardrailStreamConfiguration::default()
        };
        refused(&gateway, with(empty), "input.guardrail_config").await;
    }
}

#[tokio::test]
async fn an_enforced_guardrail_is_on_every_request() {
    let gateway = gateway(ENFORCED).await;
    for target in ["t", "us.amazon.nova-lite-v1:0"] {
        let body = sent(&gateway, ask(target)).await;
        assert_eq!(body["guardrailConfig"], ours(), "{target}");
    }
    // The caller can choose the trace, because the operator does not set it.
    let body = sent(&gateway, with(traced(GuardrailTrace::Enabled))).await;
    assert_eq!(body["guardrailConfig"]["trace"], "enabled");
    let same = GuardrailStreamConfiguration {
        guardrail_identifier: Some("gr1".to_owned()),
        guardrail_version: Some("7".to_owned()),
        ..GuardrailStreamConfiguration::default()
    };
    assert_eq!(sent(&gateway, with(same)).await["guardrailConfig"], ours());
}

#[tokio::test]
async fn an_enforced_guardrail_can_not_be_replaced_or_changed() {
    let gateway = gateway(ENFORCED).await;
    let other_version = GuardrailStreamConfiguration {
        guardrail_identifier: Some("gr1".to_owned()),
        ..own("gr1")
    };
    let in_the_background = GuardrailStreamConfiguration {
        stream_processing_mode: GuardrailStreamProcessingMode::Async.into(),
        ..GuardrailStreamConfiguration::default()
    };
    let in_another_way = GuardrailStreamConfiguration {
        stream_processing_mode_name: "async".to_owned(),
        ..GuardrailStreamConfiguration::default()
    };
    for config in [
        own("mine"),
        other_version,
        in_the_background,
        in_another_way,
    ] {
        refused(&gateway, with(config), "input.guardrail_config").await;
    }
    for (pointer, json) in [
        (
            "/guardrailConfig",
            "{\"guardrailIdentifier\":\"mine\",\"guardrailVersion\":\"1\"}",
        ),
        ("/guardrailConfig/streamProcessingMode", "\"async\""),
        ("/guardrailConfig/newMember", "true"),
        ("/GuardrailConfig", "{}"),
    ] {
        refused(
            &gateway,
            with_raw(&[(pointer, json)]),
            "input.raw_members[0].pointer",
        )
        .await;
    }
    for fields in [
        "{\"amazon-bedrock-guardrailConfig\": {\"streamProcessingMode\": \"async\"}}",
        "{\"guardrailConfig\": null, \"guardrail_config\": {}}",
        "{\"nested\": [{\"guardrailIdentifier\": \"mine\"}]}",
    ] {
        let [text, structure] = with_fields(fields);
        refused(&gateway, text, "input.additional_model_request_fields_json").await;
        refused(
            &gateway,
            structure,
            "input.additional_model_request_fields_struct",
        )
        .await;
    }
}

/// Once a block is marked, a guardrail checks no other.
#[tokio::test]
async fn an_enforced_guardrail_can_not_be_led_away_by_marked_blocks() {
    let gateway = gateway(ENFORCED).await;
    let mut request = ask("t");
    let input = request.input.get_or_insert_default();
    input.messages[0].content.push(ContentBlock {
        content: Some(content_block::Content::GuardContent(marked())),
    });
    refused(
        &gateway,
        request,
        "input.messages[0].content[1].guard_content",
    )
    .await;
    let mut request = ask("t");
    let input = request.input.get_or_insert_default();
    input.system.push(SystemContentBlock {
        content: Some(system_content_block::Content::GuardContent(marked())),
    });
    refused(&gateway, request, "input.system[0].guard_content").await;
    let block = "{\"guard\\u0043ontent\":{\"text\":{\"text\":\"x\"}}}";
    for (pointer, json, field) in [
        ("/messages/0/content/-", block, "json"),
        ("/messages/0/content/1", block, "json"),
        ("/system", "[{\"guardContent\":{}}]", "json"),
        (
            "/messages/0/content/0/guardContent",
            "{\"text\":{}}",
            "json",
        ),
    ] {
        let field = format!("input.raw_members[0].{field}");
        refused(&gateway, with_raw(&[(pointer, json)]), &field).await;
    }
}
