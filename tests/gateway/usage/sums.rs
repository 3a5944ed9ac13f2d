//! The records of many calls add up to what Bedrock reported.

use std::time::Duration;

use bedrock_grpc::pb::stream_invoke_response::Event;
use futures_util::future::join_all;

use super::recorded;
use crate::harness::{ask, keyed, paced};

#[tokio::test]
async fn records_add_up_to_the_usage_of_all_calls_to_the_token() {
    let mut test = recorded(|config, options| {
        options.pace = paced(Duration::ZERO, 20);
        config.server.workers = 2;
    })
    .await;
    const CALLS: usize = 200;
    let answers = join_all((0..CALLS).map(|n| {
        let mut request = ask("nova");
        let words = "word ".repeat(n + 1);
        let input = request.input.as_mut().unwrap();
        input.messages[0].content = vec![crate::harness::text(&words)];
        if n % 4 == 3 {
            // These are refused, and cost nothing.
            request.input = None;
        }
        test.gateway.stream(keyed(request, &test.key))
    }))
    .await;
    let (mut expected, mut complete) = ([0, 0], 0);
    for answer in &answers {
        if let Some(Event::Metadata(event)) = answer.events().last() {
            let usage = event.metadata.as_ref().unwrap().usage.clone().unwrap();
            expected[0] += i64::from(usage.input_tokens.unwrap());
            expected[1] += i64::from(usage.output_tokens.unwrap());
            complete += 1;
        }
    }
    assert_eq!(complete, CALLS * 3 / 4);
    let (mut recorded, mut ids) = ([0, 0], std::collections::BTreeSet::new());
    for _ in 0..CALLS {
        let record = test.records.next().await;
        recorded[0] += record["input_tokens"].as_i64().unwrap();
        recorded[1] += record["output_tokens"].as_i64().unwrap();
        ids.insert(record["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(recorded, expected);
    assert_eq!(ids.len(), CALLS);
    let written = r#"bedrock_grpc_usage_records_written_total{sink="file"}"#;
    assert_eq!(test.gateway.metric(written).await, CALLS as f64);
    test.ends().await;
}
