//! The resources of the account: creating, tagging, deleting and calling them.

use std::collections::BTreeMap;

use aws_sdk_bedrock::{
    error::ProvideErrorMetadata,
    types::{
        InferenceProfileModelSource, InferenceProfileStatus, InferenceProfileType,
        ProvisionedModelStatus, Tag,
    },
};
use aws_sdk_bedrockruntime::types::{
    ConverseTokensRequest, CountTokensInput, InvokeModelTokensRequest, PromptVariableValues,
};
use bedrock_emulator::{Options, Quota, Quotas, Rate};

use crate::support::{MODEL, client, client_in, control, own, start, stream, user};

const SYSTEM: &str =
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0";
const OF_MODEL: &str = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0";

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().expect("a tag")
}

fn copy(arn: &str) -> InferenceProfileModelSource {
    InferenceProfileModelSource::CopyFrom(arn.to_owned())
}

/// The tags of a resource.
async fn tags(client: &aws_sdk_bedrock::Client, arn: &str) -> BTreeMap<String, String> {
    let listed = client
        .list_tags_for_resource()
        .resource_arn(arn)
        .send()
        .await;
    let listed = listed.expect("tags");
    let pairs = listed
        .tags()
        .iter()
        .map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
    pairs.collect()
}

#[tokio::test]
async fn an_application_profile_lives_and_dies() {
    let emulator = start(Options::default());
    let client = control(&emulator, "us-east-1");
    for (source, destinations) in [
        (SYSTEM, &["us-east-1", "us-east-2", "us-west-2"][..]),
        (OF_MODEL, &["us-east-1"][..]),
    ] {
        let made = client
            .create_inference_profile()
            .inference_profile_name("tenant_a prod")
            .description("Of tenant a.")
            .model_source(copy(source))
            .tags(tag("tenant", "a"))
            .tags(tag("environment", "prod"))
            .send()
            .await
            .expect("a profile");
        assert_eq!(made.status(), Some(&InferenceProfileStatus::Active));
        let arn = made.inference_profile_arn();

        let read = client
            .get_inference_profile()
            .inference_profile_identifier(arn)
            .send()
            .await
            .expect("a profile");
        assert_eq!(read.inference_profile_name(), "tenant_a prod");
        assert_eq!(read.description(), Some("Of tenant a."));
        assert_eq!(read.r#type(), &InferenceProfileType::Application);
        assert!(read.created_at().is_some());
        let models: Vec<_> = read
            .models()
            .iter()
            .filter_map(|model| model.model_arn())
            .collect();
        let expected = destinations
            .iter()
            .map(|region| OF_MODEL.replace("us-east-1", region));
        assert_eq!(models, expected.collect::<Vec<_>>());
        let listed = async || {
            let own = client
                .list_inference_profiles()
                .type_equals(InferenceProfileType::Application);
            let own = own.send().await.expect("a list");
            let mut own = own.inference_profile_summaries().iter();
            own.any(|profile| profile.inference_profile_arn() == arn)
        };
        assert!(listed().await);
        let runtime = client_in(&emulator, "us-east-1");
        assert_eq!(stream(&runtime, arn, "Say hi").await.end, "end");

        assert_eq!(
            tags(&client, arn).await.into_iter().collect::<Vec<_>>(),
            [("environment", "prod"), ("tenant", "a")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        let more = client.tag_resource().resource_arn(arn);
        let more = more.tags(tag("tenant", "b")).tags(tag("team", "search"));
        more.send().await.expect("tagged");
        let fewer = client
            .untag_resource()
            .resource_arn(arn)
            .tag_keys("environment");
        fewer.tag_keys("unknown").send().await.expect("untagged");
        let left = tags(&client, arn).await;
        let left: Vec<_> = left
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(left, [("team", "search"), ("tenant", "b")]);

        // Another Region has none of these resources.
        let elsewhere = control(&emulator, "us-west-2").list_inference_profiles();
        let elsewhere = elsewhere.send().await.expect("a list");
        let mut names = elsewhere.inference_profile_summaries().iter();
        assert!(names.all(|profile| profile.inference_profile_name() != "tenant_a prod"));

        let id = read.inference_profile_id();
        let delete = async |id: &str| {
            let delete = client.delete_inference_profile();
            delete.inference_profile_identifier(id).send().await
        };
        delete(id).await.expect("deleted");
        assert!(!listed().await);
        let gone = delete(id).await.expect_err("gone");
        assert!(gone.into_service_error().is_resource_not_found_exception());
        let gone = client
            .list_tags_for_resource()
            .resource_arn(arn)
            .send()
            .await;
        assert!(
            gone.expect_err("gone")
                .into_service_error()
                .is_resource_not_found_exception()
        );
        assert_eq!(
            stream(&runtime, arn, "Say hi").await.end,
            "400 ValidationException"
        );
    }
}

#[tokio::test]
async fn a_token_makes_one_profile() {
    let emulator = start(Options::default());
    let client = control(&emulator, "us-east-1");
    let create = async |name: &str, token: &str| {
        client
            .create_inference_profile()
            .inference_profile_name(name)
            .client_request_token(token)
            .model_source(copy(SYSTEM))
            .send()
            .await
    };
    let first = create("a", "token-1").await.expect("a profile");
    let again = create("a", "token-1").await.expect("the same profile");
    assert_eq!(first.inference_profile_arn(), again.inference_profile_arn());
    let second = create("a", "token-2").await.expect("another profile");
    assert_ne!(
        first.inference_profile_arn(),
        second.inference_profile_arn()
    );
    let conflict = create("b", "token-1").await.expect_err("used before");
    assert!(conflict.into_service_error().is_conflict_exception());
}

#[tokio::test]
async fn what_cannot_be_made_tagged_or_deleted_is_refused() {
    let emulator = start(Options::default());
    let client = control(&emulator, "us-east-1");
    let elsewhere = OF_MODEL.replace("us-east-1", "us-west-2");
    let application =
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/emulator0001";
    let validation = "ValidationException";
    let missing = "ResourceNotFoundException";
    for (name, source, code, words) in [
        ("", SYSTEM, validation, "inferenceProfileName"),
        (
            &"a".repeat(65),
            SYSTEM,
            validation,
            "less than or equal to 64",
        ),
        ("two  spaces", SYSTEM, validation, "([0-9a-zA-Z][ _-]?)+"),
        ("a", application, validation, "copyFrom"),
        ("a", "amazon.nova-lite-v1:0", validation, "copyFrom"),
        ("a", &elsewhere, validation, "another Region"),
        (
            "a",
            &OF_MODEL.replace("nova-lite", "no-such"),
            missing,
            "not found",
        ),
        (
            "a",
            &SYSTEM.replace("us.amazon", "eu.amazon"),
            missing,
            "not found",
        ),
        (
            "a",
            &OF_MODEL.replace("nova-lite", "nova-premier"),
            validation,
            "on-demand",
        ),
    ] {
        let sent = client
            .create_inference_profile()
            .inference_profile_name(name)
            .model_source(copy(source))
            .send()
            .await;
        let error = sent.expect_err("refused");
        let message = error.meta().message().unwrap_or_default().to_owned();
        assert_eq!(
            error.meta().code(),
            Some(code),
            "{name} {source}: {message}"
        );
        assert!(message.contains(words), "{message}");
    }
    let delete = client
        .delete_inference_profile()
        .inference_profile_identifier(SYSTEM);
    let error = delete.send().await.expect_err("AWS's own");
    assert!(error.into_service_error().is_validation_exception());

    let add = async |arn: &str, tags: Vec<Tag>| {
        let request = client.tag_resource().resource_arn(arn).set_tags(Some(tags));
        request
            .send()
            .await
            .map_err(aws_sdk_bedrock::error::SdkError::into_service_error)
    };
    let many = |from: usize, to: usize| (from..to).map(|n| tag(&format!("key-{n}"), "")).collect();
    assert!(add(application, many(0, 50)).await.is_ok());
    assert!(
        add(application, many(10, 20)).await.is_ok(),
        "the same keys"
    );
    let error = add(application, many(50, 51)).await.expect_err("too many");
    assert!(error.is_too_many_tags_exception(), "{error:?}");
    assert_eq!(tags(&client, application).await.len(), 50);
    let error = add(application, vec![tag("aws:own", "")])
        .await
        .expect_err("AWS's own");
    assert!(error.is_validation_exception());
    let error = add(application, vec![tag("no#hash", "")])
        .await
        .expect_err("pattern");
    assert!(error.is_validation_exception());
    for arn in [SYSTEM, &application.replace("0001", "0009")] {
        let error = add(arn, vec![tag("a", "b")])
            .await
            .expect_err("nothing to tag");
        assert!(error.is_resource_not_found_exception(), "{arn}: {error:?}");
    }
}

#[tokio::test]
async fn a_copy_is_counted_as_what_it_copies() {
    let one = Rate {
        requests_per_minute: Some(1),
        tokens_per_minute: None,
    };
    let emulator = start(Options {
        quotas: Quotas::everywhere(Quota::rate(one)),
        ..Options::default()
    });
    let client = control(&emulator, "us-east-1");
    let runtime = client_in(&emulator, "us-east-1");
    for (source, original) in [(SYSTEM, "us.amazon.nova-lite-v1:0"), (OF_MODEL, MODEL)] {
        let made = client
            .create_inference_profile()
            .inference_profile_name("copy")
            .model_source(copy(source))
            .send()
            .await
            .expect("a profile");
        let arn = made.inference_profile_arn();
        assert_eq!(stream(&runtime, arn, "Say hi").await.end, "end");
        let refused = stream(&runtime, original, "Say hi").await;
        assert_eq!(refused.end, "429 ThrottlingException", "{original}");
    }
    let (_, quotas) = own(&emulator, "GET", "quotas", "").await;
    let minutes = quotas["used"]["minutes"].as_array().expect("minutes");
    let scopes: Vec<_> = minutes
        .iter()
        .filter_map(|minute| minute["scope"].as_str())
        .collect();
    assert_eq!(scopes, ["onDemand", "crossRegion"]);
}

#[tokio::test]
async fn provisioned_throughput_is_listed_read_and_called() {
    let emulator = start(Options::default());
    let client = control(&emulator, "eu-west-1");
    let list = client.list_provisioned_model_throughputs();
    let all = list.send().await.expect("a list");
    let all = all.provisioned_model_summaries();
    assert_eq!(all.len(), 2);
    let pages: Result<Vec<_>, _> = client
        .list_provisioned_model_throughputs()
        .max_results(1)
        .into_paginator()
        .items()
        .send()
        .collect()
        .await;
    assert_eq!(pages.expect("pages"), all);
    for one in all {
        assert_eq!(one.status(), &ProvisionedModelStatus::InService);
        for id in [one.provisioned_model_arn(), one.provisioned_model_name()] {
            let read = client
                .get_provisioned_model_throughput()
                .provisioned_model_id(id);
            let read = read.send().await.expect("units");
            assert_eq!(read.provisioned_model_arn(), one.provisioned_model_arn());
            assert_eq!(read.foundation_model_arn(), one.model_arn());
        }
        let called = client_in(&emulator, "eu-west-1");
        let outcome = stream(&called, one.provisioned_model_arn(), "Say hi").await;
        assert_eq!(outcome.end, "end");
    }
    let nova = client
        .list_provisioned_model_throughputs()
        .model_arn_equals(OF_MODEL.replace("us-east-1", "eu-west-1"))
        .name_contains("nova");
    let nova = nova.send().await.expect("a list");
    assert_eq!(nova.provisioned_model_summaries().len(), 1);
    let none = client
        .list_provisioned_model_throughputs()
        .status_equals(ProvisionedModelStatus::Creating);
    let none = none.send().await.expect("a list");
    assert!(none.provisioned_model_summaries().is_empty());
    let missing = client
        .get_provisioned_model_throughput()
        .provisioned_model_id("nothing");
    let missing = missing.send().await.expect_err("unknown");
    assert!(
        missing
            .into_service_error()
            .is_resource_not_found_exception()
    );
    let by_type = client
        .list_foundation_models()
        .by_inference_type(aws_sdk_bedrock::types::InferenceType::Provisioned);
    assert_eq!(
        by_type
            .send()
            .await
            .expect("a list")
            .model_summaries()
            .len(),
        2
    );
}

#[tokio::test]
async fn routers_say_what_they_chose_and_prompts_take_variables() {
    let emulator = start(Options::default());
    let client = client(&emulator);
    let router = "arn:aws:bedrock:us-east-1:123456789012:default-prompt-router/anthropic.claude:1";
    let mut answer = client
        .converse_stream()
        .model_id(router)
        .messages(user("Say hi"))
        .send()
        .await
        .expect("an answer");
    let mut chosen = None;
    while let Some(event) = answer.stream.recv().await.expect("no error") {
        if let Ok(metadata) = event.as_metadata() {
            let router = metadata.trace().and_then(|trace| trace.prompt_router());
            chosen = router
                .and_then(|router| router.invoked_model_id())
                .map(str::to_owned);
        }
    }
    let expected =
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0";
    assert_eq!(chosen.as_deref(), Some(expected));

    for version in ["", ":1"] {
        let prompt = format!("arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ{version}");
        let answer = client
            .converse()
            .model_id(prompt)
            .prompt_variables("city", PromptVariableValues::Text("Ulm".to_owned()))
            .send()
            .await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[tokio::test]
async fn tokens_are_counted_for_models_and_not_for_profiles() {
    let emulator = start(Options::default());
    let client = client(&emulator);
    let text = "How many tokens are there in this sentence?";
    let count = async |model: &str, input: CountTokensInput| {
        let counted = client
            .count_tokens()
            .model_id(model)
            .input(input)
            .send()
            .await;
        counted
            .map(|counted| counted.input_tokens())
            .map_err(|error| {
                (
                    error.meta().code().map(str::to_owned),
                    error.meta().message().map(str::to_owned),
                )
            })
    };
    let converse = || {
        CountTokensInput::Converse(
            ConverseTokensRequest::builder()
                .messages(user(text))
                .build(),
        )
    };
    let model = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    let counted = count(model, converse()).await.expect("tokens");
    let asked = client
        .converse()
        .model_id(format!("us.{model}"))
        .messages(user(text));
    let usage = asked
        .send()
        .await
        .expect("an answer")
        .usage()
        .cloned()
        .expect("usage");
    assert_eq!(counted, usage.input_tokens());
    let arn = format!("arn:aws:bedrock:us-east-1::foundation-model/{model}");
    assert_eq!(count(&arn, converse()).await, Ok(counted));
    let body = aws_sdk_bedrockruntime::primitives::Blob::new(text.as_bytes());
    let body = InvokeModelTokensRequest::builder()
        .body(body)
        .build()
        .expect("a body");
    assert_eq!(
        count(model, CountTokensInput::InvokeModel(body)).await,
        Ok(11)
    );

    let refused = (
        Some("ValidationException".to_owned()),
        Some("The provided model doesn't support counting tokens.".to_owned()),
    );
    let copy = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/emulator0002";
    for model in [
        &format!("us.{model}"),
        copy,
        "amazon.nova-lite-v1:0",
        "anthropic.claude-sonnet-5",
    ] {
        assert_eq!(
            count(model, converse()).await,
            Err(refused.clone()),
            "{model}"
        );
    }
    let empty = CountTokensInput::Converse(ConverseTokensRequest::builder().build());
    let (code, _) = count(model, empty).await.expect_err("no messages");
    assert_eq!(code.as_deref(), Some("ValidationException"));
}
