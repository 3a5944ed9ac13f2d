//! Records of calls that Bedrock does not bill by tokens.

use bedrock_grpc::config::{Config, GuardrailPrices, Price, UnitPrices};
use serde_json::json;

use super::recorded;
use crate::{
    harness::{alias, keyed, soon},
    models::request,
    models_units::{check, lighthouse, ranking},
};

fn priced(config: &mut Config) {
    for (name, model_id) in [
        ("image", "amazon.nova-canvas-v1:0"),
        ("rank", "cohere.rerank-v3-5:0"),
    ] {
        let mut target = alias(model_id);
        target.invoke_model = true;
        config.targets.aliases.insert(name.to_owned(), target);
    }
    let caller = config.access.callers.get_mut("team-a").unwrap();
    let methods = ["InvokeModel", "ApplyGuardrail"];
    caller.permission.methods = Some(methods.to_vec());
    config.access.prices = vec![Price {
        models: vec!["*".to_owned()],
        units: UnitPrices {
            image: Some(40),
            query: Some(7),
            ..UnitPrices::default()
        },
        ..Price::default()
    }];
    config.access.guardrail_prices = Some(GuardrailPrices {
        topic: 2,
        ..GuardrailPrices::default()
    });
}

#[tokio::test]
async fn records_have_the_units_and_their_cost() {
    let mut test = recorded(|config, _| priced(config)).await;
    let mut models = test.gateway.models();
    let image = request("image", lighthouse(r#""numberOfImages":2"#));
    soon(models.invoke_model(keyed(image, &test.key)))
        .await
        .unwrap();
    let record = test.next("OK", "").await;
    // The answer shows the number of images.
    assert_eq!(record["usage"], "reported", "{record}");
    assert_eq!(record["units"], json!({"images": 2}));
    assert_eq!(record["cost_nano_usd"], 80);
    assert_eq!(record["input_tokens"], 0);

    let rank = request("rank", ranking(101, 1));
    soon(models.invoke_model(keyed(rank, &test.key)))
        .await
        .unwrap();
    let record = test.next("OK", "").await;
    // The answer does not show the number of queries, so it is that of the request.
    assert_eq!(record["usage"], "estimated", "{record}");
    assert_eq!(record["units"], json!({"queries": 2}));
    assert_eq!(record["cost_nano_usd"], 14);

    let mut guardrails = test.gateway.guardrails();
    let answered = guardrails.apply_guardrail(keyed(check("image", "Hello"), &test.key));
    let answer = soon(answered).await.unwrap().into_inner();
    let record = test.next("OK", "").await;
    assert_eq!(record["usage"], "reported", "{record}");
    let usage = answer.usage.unwrap();
    let units = &record["units"];
    assert_eq!(
        units["topic"].as_i64(),
        usage.topic_policy_units.map(i64::from)
    );
    let cost = record["cost_nano_usd"].as_i64();
    assert_eq!(cost, Some(2 * i64::from(usage.topic_policy_units())));
    assert_eq!(answer.estimated_cost.map(|cost| cost.nano_usd), cost);

    let refused = request("image", lighthouse(r#""numberOfImages":6"#));
    soon(models.invoke_model(keyed(refused, &test.key)))
        .await
        .unwrap_err();
    let record = test.next("INVALID_ARGUMENT", "UPSTREAM_VALIDATION").await;
    assert_eq!(record["usage"], "none", "{record}");
    assert_eq!(record.get("units"), None);
    assert_eq!(record["cost_nano_usd"], 0);
    test.ends().await;
}
