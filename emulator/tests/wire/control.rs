//! Inference profiles and foundation models, as the SDK reads them.

use aws_sdk_bedrock::{
    error::ProvideErrorMetadata,
    types::{InferenceProfileStatus, InferenceProfileType},
};
use bedrock_emulator::Options;

use std::time::{Duration, SystemTime};

use crate::support::{MODEL, control, own, start, stream};

#[tokio::test]
async fn a_model_is_legacy_before_its_end_of_life_and_refused_after_it() {
    let emulator = start(Options::default());
    let client = control(&emulator, "us-east-1");
    let life = async || {
        let model = client.get_foundation_model().model_identifier(MODEL);
        let model = model.send().await.expect("a model").model_details;
        let life = model.expect("details").model_lifecycle.expect("a life");
        let end = life.end_of_life_time.map(|end| end.secs());
        (life.status.as_str().to_owned(), end)
    };
    let end = async || {
        stream(&crate::support::client(&emulator), MODEL, "hi")
            .await
            .end
    };
    assert_eq!(life().await, ("ACTIVE".to_owned(), None));

    let path = format!("models/{MODEL}");
    let body = r#"{"endOfLifeTime": "2100-01-01T00:00:00Z"}"#;
    let (status, answer) = own(&emulator, "PUT", &path, body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        answer["models"][MODEL]["endOfLifeTime"],
        "2100-01-01T00:00:00Z"
    );
    assert_eq!(life().await, ("LEGACY".to_owned(), Some(4_102_444_800)));
    assert_eq!(end().await, "end");

    emulator.set_end_of_life(MODEL, Some(SystemTime::now() - Duration::from_secs(1)));
    assert_eq!(end().await, "404 ResourceNotFoundException");
    let (status, _) = own(&emulator, "DELETE", &path, "").await;
    assert_eq!(status, 200);
    assert_eq!(end().await, "end");
    for (path, body) in [
        ("models/no.such", body),
        (&*path, r#"{"endOfLifeTime": "soon"}"#),
    ] {
        let (status, _) = own(&emulator, "PUT", path, body).await;
        assert_eq!(status, 400, "{path} {body}");
    }
}

#[tokio::test]
async fn profiles_are_listed_page_by_page() {
    let emulator = start(Options::default());
    let client = control(&emulator, "us-east-1");
    let all = client
        .list_inference_profiles()
        .max_results(1000)
        .send()
        .await
        .expect("a list");
    assert_eq!(all.next_token(), None);
    let all = all.inference_profile_summaries();
    let pages: Result<Vec<_>, _> = client
        .list_inference_profiles()
        .max_results(4)
        .into_paginator()
        .items()
        .send()
        .collect()
        .await;
    assert_eq!(pages.expect("pages"), all);
    assert!(all.len() > 8);

    for kind in [
        InferenceProfileType::SystemDefined,
        InferenceProfileType::Application,
    ] {
        let some = client
            .list_inference_profiles()
            .type_equals(kind.clone())
            .send()
            .await
            .expect("a list");
        let expected = all
            .iter()
            .filter(|profile| profile.r#type() == &kind)
            .count();
        assert_eq!(some.inference_profile_summaries().len(), expected);
        assert!(expected > 0);
        assert!(
            some.inference_profile_summaries()
                .iter()
                .all(|profile| profile.r#type() == &kind)
        );
    }
    let bad = client
        .list_inference_profiles()
        .max_results(1001)
        .send()
        .await
        .expect_err("too many");
    assert!(bad.into_service_error().is_validation_exception());
    let bad = client
        .list_inference_profiles()
        .next_token("nonsense")
        .send()
        .await
        .expect_err("no such page");
    assert!(bad.into_service_error().is_validation_exception());
}

#[tokio::test]
async fn a_profile_has_the_destinations_of_its_source_region() {
    let emulator = start(Options::default());
    let get = async |region, id: &str| {
        let client = control(&emulator, region);
        let profile = client
            .get_inference_profile()
            .inference_profile_identifier(id)
            .send()
            .await
            .expect("a profile");
        assert_eq!(profile.status(), &InferenceProfileStatus::Active);
        assert!(profile.created_at().is_some());
        profile
            .models()
            .iter()
            .filter_map(|model| model.model_arn().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let regions = |arns: &[String]| {
        arns.iter()
            .map(|arn| arn.split(':').nth(3).unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    let nova = "us.amazon.nova-lite-v1:0";
    assert_eq!(
        regions(&get("us-east-1", nova).await),
        ["us-east-1", "us-east-2", "us-west-2"]
    );
    assert_eq!(
        regions(&get("us-west-1", nova).await),
        ["us-east-1", "us-east-2", "us-west-1", "us-west-2"]
    );
    let arn = format!("arn:aws:bedrock:us-east-1:123456789012:inference-profile/{nova}");
    assert_eq!(get("us-east-1", &arn).await.len(), 3);
    let global = get(
        "eu-west-1",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    )
    .await;
    assert_eq!(regions(&global), ["eu-west-1", ""]);
    let application =
        "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/emulator0001";
    assert!(regions(&get("eu-west-1", application).await).contains(&"eu-central-1".to_owned()));

    let client = control(&emulator, "eu-west-1");
    let missing = client
        .get_inference_profile()
        .inference_profile_identifier(nova)
        .send()
        .await
        .expect_err("not in Europe");
    assert_eq!(missing.meta().code(), Some("ResourceNotFoundException"));
    assert!(
        missing
            .into_service_error()
            .is_resource_not_found_exception()
    );
}

#[tokio::test]
async fn every_listed_profile_can_be_read_and_fits_the_api_s_limits() {
    let emulator = start(Options::default());
    for region in [
        "us-east-1",
        "us-west-1",
        "eu-west-1",
        "eu-south-1",
        "ap-south-1",
        "sa-east-1",
    ] {
        let client = control(&emulator, region);
        let listed = client
            .list_inference_profiles()
            .send()
            .await
            .expect("a list");
        assert!(!listed.inference_profile_summaries().is_empty(), "{region}");
        for profile in listed.inference_profile_summaries() {
            let id = profile.inference_profile_id();
            assert!((1..=5).contains(&profile.models().len()), "{id}");
            assert!(profile.inference_profile_name().len() <= 64, "{id}");
            assert!(id.len() <= 64, "{id}");
            assert!(
                profile.description().is_some_and(|text| text.len() <= 200),
                "{id}"
            );
            let arn = profile.inference_profile_arn();
            let read = client
                .get_inference_profile()
                .inference_profile_identifier(arn)
                .send()
                .await
                .expect("a profile");
            assert_eq!(read.inference_profile_id(), id);
        }
    }
}

#[tokio::test]
async fn foundation_models() {
    let emulator = start(Options::default());
    let client = control(&emulator, "us-east-1");
    let all = client
        .list_foundation_models()
        .send()
        .await
        .expect("a list");
    let all = all.model_summaries();
    assert!(all.len() > 10);
    assert!(
        all.iter()
            .all(|model| model.model_name().is_some_and(|name| name.len() <= 20))
    );
    let amazon = client
        .list_foundation_models()
        .by_provider("amazon")
        .send()
        .await
        .expect("a list");
    assert!(
        amazon
            .model_summaries()
            .iter()
            .all(|model| model.provider_name() == Some("Amazon"))
    );
    assert!((1..all.len()).contains(&amazon.model_summaries().len()));

    let get = async |id: &str| {
        client
            .get_foundation_model()
            .model_identifier(id)
            .send()
            .await
    };
    let model = get("deepseek.r1-v1:0").await.expect("a model");
    let details = model.model_details().expect("details");
    assert_eq!(details.response_streaming_supported(), Some(true));
    assert!(
        get("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0")
            .await
            .is_ok()
    );
    let missing = get("no.such-model").await.expect_err("unknown");
    assert!(
        missing
            .into_service_error()
            .is_resource_not_found_exception()
    );
}
