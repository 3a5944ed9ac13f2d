//! Memory of open, almost idle streams; memory of a gateway without streams; time until it listens.

use std::time::Duration;

use super::{ANSWER_LIMIT, Load, Method, Row, SETTLE, Side, Stage};
use crate::Error;

pub(super) const NAME: &str = "memory";
/// A slow pace, so that the answer lasts far longer than the scenario.
const TOKENS_PER_SECOND: f64 = 0.05;
/// KB per stream. Over HTTP/2, streams share the buffers of a connection.
const MOST_PER_STREAM: [(Side, f64); 2] = [(Side::GatewayHttp1, 16.0), (Side::GatewayHttp2, 8.0)];
const MOST_IDLE: f64 = 40.0;
const LATEST_START: Duration = Duration::from_millis(200);

pub(super) async fn run(short: bool) -> Result<Vec<Row>, Error> {
    let (streams, ramp) = if short {
        (500, Duration::from_millis(500))
    } else {
        (5_000, Duration::from_secs(4))
    };
    let stage = Stage::set(4, TOKENS_PER_SECOND)?;
    let idle = stage.child(Side::GatewayHttp1).resident()? as f64 / 1024.0 / 1024.0;
    let start = stage.gateway_start();

    let floor = per_stream(&stage, Side::Proxy, streams, ramp).await?;
    let mut rows = Vec::new();
    for (side, most) in MOST_PER_STREAM {
        let figure = per_stream(&stage, side, streams, ramp).await?;
        rows.push(Row {
            name: NAME,
            what: format!("memory, {streams} open streams, almost idle"),
            upstream: side.upstream(),
            gateway: format!("{figure:.1} KB/stream"),
            reference: format!("byte proxy {floor:.1}"),
            relation: format!("{:.2} x", figure / floor),
            goal: format!("≤ {most} KB/stream"),
            met: Some(figure <= most),
        });
    }
    rows.push(Row {
        name: NAME,
        what: "memory without calls".to_owned(),
        upstream: "",
        gateway: format!("{idle:.1} MB"),
        reference: String::new(),
        relation: String::new(),
        goal: format!("≤ {MOST_IDLE} MB"),
        met: Some(idle <= MOST_IDLE),
    });
    rows.push(Row {
        name: NAME,
        what: "time from process start until it listens".to_owned(),
        upstream: "",
        gateway: format!("{} ms", start.as_millis()),
        reference: String::new(),
        relation: String::new(),
        goal: format!("≤ {} ms", LATEST_START.as_millis()),
        met: Some(start <= LATEST_START),
    });
    Ok(rows)
}

/// KB per stream.
async fn per_stream(
    stage: &Stage,
    side: Side,
    streams: usize,
    ramp: Duration,
) -> Result<f64, Error> {
    let way = stage.way(side, Method::Stream).await?;
    // Memory that the first call allocates does not belong to the streams.
    let warm_up = Load::start(&way, 1, Duration::ZERO);
    warm_up.all_answered(ANSWER_LIMIT).await?;
    warm_up.stop().await;
    let before = stage.child(side).resident()?;
    let load = Load::start(&way, streams, ramp);
    load.all_answered(ramp + ANSWER_LIMIT).await?;
    tokio::time::sleep(SETTLE).await;
    let after = stage.child(side).resident()?;
    load.watch.check()?;
    load.stop().await;
    Ok(after.saturating_sub(before) as f64 / 1024.0 / streams as f64)
}
