//! Streams whose deltas are joined. The times of messages, and what is sent before a failure, are
//! tested in `src/grpc/ending_tests/coalesced.rs`.

use std::time::Duration;

use tonic::Code;

use crate::harness::{Answer, Gateway, ask, faulty, paced};

const TOKENS: usize = 40;

/// A gateway whose target `nova` joins deltas within this time.
async fn joining(coalesce: Option<Duration>) -> Gateway {
    Gateway::with(|config, options| {
        options.pace = paced(Duration::from_millis(1), TOKENS);
        let nova = config.targets.aliases.get_mut("nova").unwrap();
        nova.limits.coalesce = coalesce;
    })
    .await
}

async fn asking(gateway: &Gateway, coalesce: Option<Duration>) -> Answer {
    let mut request = ask("nova");
    request.coalesce = coalesce.map(|time| time.try_into().unwrap());
    let answer = gateway.stream(request).await;
    answer.is_whole();
    answer
}

#[tokio::test]
async fn a_caller_can_join_deltas() {
    let gateway = joining(None).await;
    let plain = asking(&gateway, None).await;
    assert_eq!(plain.texts().count(), TOKENS);
    let joined = asking(&gateway, Some(Duration::from_secs(1))).await;
    assert!(
        joined.texts().count() < TOKENS,
        "{}",
        joined.texts().count()
    );
    assert_eq!(joined.text(), plain.text());
    assert_eq!(joined.texts().next(), plain.texts().next());
    // The gaps between Bedrock's deltas are measured, not those between messages.
    let gaps = r#"bedrock_grpc_inter_token_gap_seconds_count{target="nova"}"#;
    assert_eq!(gateway.metric(gaps).await, 2.0 * (TOKENS - 1) as f64);
}

#[tokio::test]
async fn a_target_has_a_default_that_a_caller_can_switch_off() {
    let gateway = joining(Some(Duration::from_secs(1))).await;
    let joined = asking(&gateway, None).await;
    assert!(
        joined.texts().count() < TOKENS,
        "{}",
        joined.texts().count()
    );
    let plain = asking(&gateway, Some(Duration::ZERO)).await;
    assert_eq!(plain.texts().count(), TOKENS);
    assert_eq!(plain.text(), joined.text());
}

/// Bedrock fails while deltas are held back: the client receives them before the status.
#[tokio::test]
async fn what_is_held_back_is_sent_before_a_failure() {
    let gateway = joining(None).await;
    let mut answers = Vec::new();
    for coalesce in [Duration::ZERO, Duration::from_secs(1)] {
        let mut request = faulty("stream-internal-after-9");
        request.coalesce = coalesce.try_into().ok();
        let answer = gateway.stream(request).await;
        assert_eq!(answer.code(), Code::Internal);
        assert_eq!(answer.details().phase(), "mid-stream");
        answers.push(answer);
    }
    let [plain, joined] = answers.try_into().unwrap();
    assert_eq!(plain.texts().count(), 9);
    assert!(joined.texts().count() < 9, "{}", joined.texts().count());
    assert_eq!(joined.text(), plain.text());
}
