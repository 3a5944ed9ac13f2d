//! ApplyGuardrail, as the AWS SDK calls it.

use aws_sdk_bedrockruntime::{
    error::SdkError,
    operation::apply_guardrail::ApplyGuardrailOutput,
    primitives::Blob,
    types::{
        GuardrailAction, GuardrailContentBlock, GuardrailContentQualifier, GuardrailContentSource,
        GuardrailImageBlock, GuardrailImageFormat, GuardrailImageSource, GuardrailOutputScope,
        GuardrailTextBlock,
    },
};
use bedrock_emulator::{Emulator, Options};

use crate::support::{client_in, start};

fn text(text: &str, qualifiers: &[GuardrailContentQualifier]) -> GuardrailContentBlock {
    let mut block = GuardrailTextBlock::builder().text(text);
    for qualifier in qualifiers {
        block = block.qualifiers(qualifier.clone());
    }
    GuardrailContentBlock::Text(block.build().expect("a text"))
}

/// Applies a guardrail. Returns the code of an error.
async fn apply(
    emulator: &Emulator,
    (identifier, version): (&str, &str),
    scope: Option<GuardrailOutputScope>,
    content: &[GuardrailContentBlock],
) -> Result<ApplyGuardrailOutput, (String, String)> {
    let call = client_in(emulator, "us-east-1")
        .apply_guardrail()
        .guardrail_identifier(identifier)
        .guardrail_version(version)
        .source(GuardrailContentSource::Input)
        .set_output_scope(scope)
        .set_content(Some(content.to_vec()));
    call.send().await.map_err(|error| {
        let error = SdkError::into_service_error(error);
        let part = |part: Option<&str>| part.unwrap_or_default().to_owned();
        (part(error.meta().code()), part(error.meta().message()))
    })
}

#[tokio::test]
async fn personal_data_is_masked() {
    let emulator = start(Options::default());
    let content = [
        text("Call 555-867-5309 or", &[]),
        text(
            "ann@example.com",
            &[GuardrailContentQualifier::GuardContent],
        ),
        text("a source", &[GuardrailContentQualifier::GroundingSource]),
        text("a question", &[GuardrailContentQualifier::Query]),
    ];
    let answer = apply(&emulator, ("gr1", "DRAFT"), None, &content).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.action(), &GuardrailAction::GuardrailIntervened);
    assert_eq!(answer.action_reason(), Some("Guardrail masked."));
    let outputs: Vec<_> = answer
        .outputs()
        .iter()
        .map(|output| output.text())
        .collect();
    assert_eq!(outputs, [Some("Call {PHONE} or"), Some("{EMAIL}")]);
    let usage = answer.usage().expect("usage");
    assert_eq!(usage.contextual_grounding_policy_units(), 1);
    assert_eq!(usage.topic_policy_units(), 1);
    let coverage = answer
        .guardrail_coverage()
        .and_then(|it| it.text_characters());
    let coverage = coverage.expect("coverage");
    assert_eq!((coverage.guarded(), coverage.total()), (Some(35), Some(53)));
    let [assessment] = answer.assessments() else {
        panic!("{answer:?}");
    };
    let found = assessment.sensitive_information_policy().expect("findings");
    assert_eq!(found.pii_entities().len(), 2);
    assert!(assessment.content_policy().is_none());
    let call = emulator.calls().remove(0);
    assert_eq!((call.operation, &*call.model_id), ("ApplyGuardrail", "gr1"));
}

#[tokio::test]
async fn a_trigger_blocks_and_other_content_passes() {
    let emulator = start(Options::default());
    let blocked = [text("emulate:guardrail_block", &[])];
    let answer = apply(&emulator, ("gr1", "1"), None, &blocked).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.action_reason(), Some("Guardrail blocked."));
    assert_eq!(answer.outputs().len(), 1);
    let image = GuardrailImageBlock::builder()
        .format(GuardrailImageFormat::Png)
        .source(GuardrailImageSource::Bytes(Blob::new("png")));
    let image = GuardrailContentBlock::Image(image.build().expect("an image"));
    let harmless = [text("Hello", &[]), image];
    let scope = Some(GuardrailOutputScope::Full);
    let answer = apply(&emulator, ("gr1", "1"), scope, &harmless).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.action(), &GuardrailAction::None);
    assert_eq!(answer.outputs(), []);
    assert_eq!(
        answer
            .usage()
            .and_then(|it| it.content_policy_image_units()),
        Some(1)
    );
    let filters = answer.assessments()[0].content_policy().expect("filters");
    assert_eq!(filters.filters().len(), 6);
}

#[tokio::test]
async fn invalid_requests_are_refused() {
    let emulator = start(Options::default());
    let content = [text("Hello", &[])];
    let arn = |region: &str| format!("arn:aws:bedrock:{region}:123456789012:guardrail/gr1");
    assert!(
        apply(&emulator, (&arn("us-east-1"), "1"), None, &content)
            .await
            .is_ok()
    );
    for (guardrail, expected) in [
        (("NOT-ONE", "1"), "ValidationException"),
        (("gr1", "0"), "ValidationException"),
        ((&*arn("us-west-2"), "1"), "ResourceNotFoundException"),
    ] {
        let (code, message) = apply(&emulator, guardrail, None, &content)
            .await
            .expect_err("a refusal");
        assert_eq!(code, expected, "{message}");
    }
    let source = client_in(&emulator, "us-east-1")
        .apply_guardrail()
        .guardrail_identifier("gr1")
        .guardrail_version("1")
        .source("SIDEWAYS".into())
        .content(text("Hello", &[]));
    let error = source.send().await.expect_err("a refusal");
    assert!(format!("{error:?}").contains("source"), "{error:?}");
}
