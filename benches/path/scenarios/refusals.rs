//! How fast a full gateway refuses a client that sends only headers.

use std::time::Duration;

use super::{ANSWER_LIMIT, Load, Method, Row, SETTLE};
use crate::{Error, child::Child, load::Way, roles::Role};

pub(super) const NAME: &str = "refusals";
/// As many streams as there are slots.
const PLACES: usize = 100;
/// Longer than the scenario lasts, so that no slot becomes free.
const TOKENS: usize = 2_000;
const TOKENS_PER_SECOND: f64 = 10.0;
const MOST: Duration = Duration::from_millis(1);

pub(super) async fn run(short: bool) -> Result<Vec<Row>, Error> {
    let count = if short { 100 } else { 1_000 };
    let emulator = Child::start(&Role::Emulator {
        tokens: TOKENS,
        tokens_per_second: TOKENS_PER_SECOND,
    })?;
    let gateway = Child::start(&Role::Gateway {
        endpoint: format!("http://{}", emulator.address("http")?),
        places: PLACES,
        ca_file: None,
    })?;
    let address = gateway.address("grpc")?;
    let inside = Way::grpc(address, Method::Stream, 8).await?;
    let load = Load::start(&inside, PLACES, Duration::from_millis(500));
    load.all_answered(ANSWER_LIMIT).await?;
    tokio::time::sleep(SETTLE).await;

    // One connection, which is warm after the first call.
    let outside = Way::grpc(address, Method::Stream, 1).await?;
    outside.refusal().await?;
    let before = load.watch.count();
    let mut took = Vec::with_capacity(count);
    while took.len() < count {
        took.push(outside.refusal().await?);
    }
    let after = load.watch.count();
    took.sort_unstable();
    // The open streams are not affected.
    load.watch.check()?;
    if after.calls != before.calls {
        return Err("a stream ended while others were refused".into());
    }
    load.stop().await;

    let rows = [(0.5, Some(MOST)), (0.99, None)].map(|(quantile, most)| {
        let at = took[((count - 1) as f64 * quantile).round() as usize];
        Row {
            name: NAME,
            what: format!(
                "time from request headers to refusal, p{:.0}, sequential calls, {PLACES} streams of {TOKENS_PER_SECOND} tokens/s open",
                quantile * 100.0
            ),
            upstream: "HTTP/1.1",
            gateway: format!("{:.2} ms", at.as_secs_f64() * 1e3),
            reference: String::new(),
            relation: String::new(),
            goal: most.map_or_else(String::new, |most| format!("≤ {} ms", most.as_millis())),
            met: most.map(|most| at <= most),
        }
    });
    Ok(rows.into())
}
