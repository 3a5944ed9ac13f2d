//! `TargetService`.

use std::time::{Duration, SystemTime};

use bedrock_grpc::pb::{GetTargetRequest, ListTargetsRequest, TargetKind};
use tonic::Code;

use crate::harness::{Details, Gateway, MODEL, alias, soon};

const PROFILE: &str =
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0";

async fn gateway() -> Gateway {
    Gateway::with(|config, _| {
        let aliases = &mut config.targets.aliases;
        for name in ["alpha", "beta", "gamma", "delta"] {
            aliases.insert(name.to_owned(), alias(PROFILE));
        }
        aliases.get_mut("beta").unwrap().description = "the second".to_owned();
        config.targets.allowed_model_ids = vec!["us.*".to_owned()];
    })
    .await
}

#[tokio::test]
async fn targets_are_listed_page_by_page_sorted_by_name() {
    let gateway = gateway().await;
    let mut client = gateway.targets();
    let mut request = ListTargetsRequest {
        page_size: 2,
        ..ListTargetsRequest::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = client
            .list_targets(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(page.allowed_model_ids, ["us.*"]);
        pages.push(
            page.targets
                .iter()
                .map(|target| target.name.clone())
                .collect::<Vec<_>>(),
        );
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(
        pages,
        [vec!["alpha", "beta"], vec!["delta", "gamma"], vec!["nova"]]
    );

    let all = client
        .list_targets(ListTargetsRequest::default())
        .await
        .unwrap();
    assert_eq!(all.get_ref().targets.len(), 5);
    assert_eq!(all.get_ref().next_page_token, "");
    let beta = &all.get_ref().targets[1];
    assert_eq!(beta.description, "the second");
    assert_eq!(beta.routes[0].model_id, PROFILE);
    assert_eq!(beta.routes[0].kind(), TargetKind::SystemInferenceProfile);
    assert_eq!(beta.routes[0].source_region, "eu-west-1");
}

#[tokio::test]
async fn allowed_inference_profiles_are_listed_on_request() {
    let gateway = Gateway::with(|config, _| {
        config.discovery.enabled = true;
        config.targets.allowed_model_ids = vec!["us.amazon.*".to_owned()];
    })
    .await;
    let mut client = gateway.targets();
    let request = ListTargetsRequest {
        include_inference_profiles: true,
        ..ListTargetsRequest::default()
    };
    let targets = soon(async {
        loop {
            let page = client.list_targets(request.clone()).await.unwrap();
            let targets = page.into_inner().targets;
            if targets.len() > 1 {
                return targets;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| !name.contains('.')).count(), 1);
    assert!(names.contains(&"us.amazon.nova-lite-v1:0"), "{names:?}");
    assert!(
        names
            .iter()
            .all(|name| *name == "nova" || name.starts_with("us.amazon.")),
        "{names:?}"
    );
    assert!(names.is_sorted());
    for target in targets.iter().filter(|target| target.name != "nova") {
        assert!(
            !target.routes[0].destination_regions.is_empty(),
            "{target:?}"
        );
    }
}

#[tokio::test]
async fn the_end_of_a_models_life_is_in_targets_and_metrics() {
    const END: u64 = 4_102_444_800;
    let gateway = Gateway::with(|config, options| {
        config.discovery.enabled = true;
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(END);
        options.ends_of_life = vec![("amazon.nova-lite-v1:0".to_owned(), end)];
    })
    .await;
    let mut client = gateway.targets();
    let request = || GetTargetRequest {
        target: "nova".to_owned(),
    };
    let route = soon(async {
        loop {
            let answer = client.get_target(request()).await.unwrap().into_inner();
            let mut routes = answer.target.unwrap().routes;
            if routes[0].end_of_life.is_some() {
                return routes.swap_remove(0);
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(route.end_of_life.unwrap().seconds, END.cast_signed());
    let sample = format!(
        r#"bedrock_grpc_model_end_of_life_timestamp_seconds{{model_id="{}",source_region="{}"}}"#,
        route.model_id, route.source_region
    );
    assert_eq!(gateway.metric(&sample).await, END as f64);
}

#[tokio::test]
async fn a_wrong_page_size_is_refused() {
    let gateway = gateway().await;
    for page_size in [-1, 1_001] {
        let request = ListTargetsRequest {
            page_size,
            ..ListTargetsRequest::default()
        };
        let status = gateway.targets().list_targets(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(Details::of(&status).fields(), ["page_size"]);
    }
}

#[tokio::test]
async fn a_target_is_found_by_every_name_that_a_request_may_use() {
    let gateway = gateway().await;
    let mut client = gateway.targets();
    for (name, model_id, kind) in [
        ("nova", MODEL, TargetKind::OnDemand),
        (
            "us.amazon.nova-pro-v1:0",
            "us.amazon.nova-pro-v1:0",
            TargetKind::SystemInferenceProfile,
        ),
    ] {
        let request = GetTargetRequest {
            target: name.to_owned(),
        };
        let target = client
            .get_target(request)
            .await
            .unwrap()
            .into_inner()
            .target
            .unwrap();
        assert_eq!(target.name, name);
        assert_eq!(target.routes[0].model_id, model_id);
        assert_eq!(target.routes[0].kind(), kind);
    }
}

#[tokio::test]
async fn an_unknown_target_is_not_found_and_the_nearest_is_named() {
    let gateway = gateway().await;
    let request = GetTargetRequest {
        target: "gama".to_owned(),
    };
    let status = gateway.targets().get_target(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(
        status.message().contains("did you mean `gamma`?"),
        "{}",
        status.message()
    );
    let details = Details::of(&status);
    assert_eq!(details.reason(), "TARGET_UNKNOWN");
    assert_eq!(details.resource().unwrap().resource_name, "gama");

    let request = GetTargetRequest {
        target: "eu.amazon.nova-pro-v1:0".to_owned(),
    };
    let status = gateway.targets().get_target(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(Details::of(&status).reason(), "TARGET_NOT_ALLOWED");

    let request = GetTargetRequest {
        target: String::new(),
    };
    let status = gateway.targets().get_target(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(Details::of(&status).fields(), ["target"]);
}
