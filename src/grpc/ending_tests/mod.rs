//! Tests that the end of a stream depends on the bytes that Bedrock sends, not on how the network
//! groups the bytes.
//!
//! Each test ends a stream before one of its frames, adds a fault, and sends the bytes in different
//! groups. All groupings must result in the same messages and the same status. The tests run in
//! memory, with a paused clock. `tests/gateway/endings` has samples over real sockets.
//!
//! | file | job |
//! |---|---|
//! | `streams` | the streams, as frames |
//! | `fault` | what Bedrock does after the last frame |
//! | `peer` | a Bedrock in memory, which writes groups of bytes |
//! | `coalesced` | tests streams whose deltas are joined |
//! | `random` | tests the same with streams, pauses and intervals that are drawn at random |
//! | `outcome` | runs the service under test, and returns what its caller receives |

mod coalesced;
mod fault;
mod http;
mod outcome;
mod peer;
mod random;
mod streams;

use std::time::Duration;

use self::{
    fault::Fault,
    http::Http,
    outcome::{Outcome, service},
    peer::{Script, Spacing},
    streams::Stream,
};

/// Streams of at most this many pieces are tested in all groupings. For longer streams, [`SEEDED`]
/// groupings are drawn.
const ALL_GROUPINGS: usize = 8;
const SEEDED: usize = 64;

/// Returns groupings of this many pieces. A grouping has one bit for each gap between two pieces.
/// If the bit is set, the pieces arrive in separate reads.
fn groupings(pieces: usize, random: &mut fastrand::Rng) -> Vec<u64> {
    let gaps = pieces.saturating_sub(1);
    if pieces <= ALL_GROUPINGS {
        return (0..1 << gaps).collect();
    }
    let mut chosen = vec![0, u64::MAX];
    chosen.extend((2..SEEDED).map(|_| random.u64(..)));
    chosen
}

/// Checks one stream that ends before a frame with a fault: all groupings must have the same
/// outcome. `limit` is the maximum number of groupings.
fn same_in_all_groupings(
    http: Http,
    stream: &Stream,
    frames: usize,
    fault: &Fault,
    limit: usize,
    random: &mut fastrand::Rng,
) {
    let script = Script::new(http, stream.frames(frames), fault);
    let mut masks = groupings(script.pieces(), random);
    if masks.len() > limit {
        random.shuffle(&mut masks);
        masks.truncate(limit);
    }
    let mut expected: Option<(Outcome, Outcome)> = None;
    for (number, mask) in masks.into_iter().enumerate() {
        let without_a_pause = [Spacing::None, Spacing::Yield][number % 2];
        let spacings = match script.pieces() {
            ..=ALL_GROUPINGS => vec![without_a_pause, Spacing::Pause],
            _ => vec![[without_a_pause, Spacing::Pause][number / 2 % 2]],
        };
        for spacing in spacings {
            let played = script.grouped(mask, spacing);
            let streamed = outcome::stream_invoke(&played);
            let name = format!(
                "{http:?}, {} cut after {frames}, {fault:?}, {mask:b}, {spacing:?}",
                stream.name
            );
            assert_eq!(
                streamed.is_ok(),
                stream.is_complete(frames),
                "{name}: {streamed:#?}"
            );
            match &expected {
                None => expected = Some((streamed, outcome::invoke(&played))),
                Some((first, folded)) => {
                    assert_eq!(&streamed, first, "{name}");
                    // Both methods run the same stream, so every eighth grouping is sufficient.
                    if number % 8 == 1 {
                        assert_eq!(&outcome::invoke(&played), folded, "{name}");
                    }
                }
            }
        }
    }
    if let Some((streamed, folded)) = expected {
        assert_eq!(streamed.status, folded.status, "{fault:?}");
        if let Some(code) = fault.code().filter(|_| !stream.is_complete(frames)) {
            assert_eq!(streamed.status.0, code, "{fault:?}: {streamed:#?}");
        }
    }
}

/// Checks every fault before every frame of the shortest stream, in all groupings.
fn all_of_a_short_stream(http: Http) {
    let mut random = fastrand::Rng::with_seed(1);
    let stream = Stream::short();
    for frames in 0..=stream.len() {
        for fault in Fault::all(http) {
            let limit = if fault.is_one_of_many() {
                8
            } else {
                usize::MAX
            };
            same_in_all_groupings(http, &stream, frames, &fault, limit, &mut random);
        }
    }
}

#[test]
fn a_short_stream_ends_the_same_in_all_groupings_over_http1() {
    all_of_a_short_stream(Http::One);
}

#[test]
fn a_short_stream_ends_the_same_in_all_groupings_over_http2() {
    all_of_a_short_stream(Http::Two);
}

/// Checks a seeded selection of ends and faults for each stream, in up to 64 groupings.
fn sample(streams: &[Stream], cuts: usize) {
    let mut random = fastrand::Rng::with_seed(2);
    for stream in streams {
        // Most streams end near `messageStop`, because groupings are most likely to matter there.
        let near_the_end = stream.len().saturating_sub(random.usize(0..3));
        let anywhere = random.usize(0..=stream.len());
        for frames in [near_the_end, anywhere].into_iter().take(cuts) {
            let http = random.choice([Http::One, Http::Two]).unwrap_or(Http::One);
            let faults = Fault::all(http);
            if let Some(fault) = random.choice(&faults) {
                same_in_all_groupings(http, stream, frames, fault, SEEDED, &mut random);
            }
        }
    }
}

#[test]
fn generated_streams_end_the_same_in_all_groupings() {
    sample(&Stream::generated(), 2);
}

#[test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
fn recorded_streams_end_the_same_in_all_groupings() {
    sample(&Stream::recorded(), 1);
}

/// Checks that long silence does not end a call, because a model may write a tool's input for
/// minutes before it sends any of it.
#[test]
fn long_silence_in_mid_stream_ends_no_call() {
    for silence in [150, 3_000] {
        let script = Script::new(Http::One, Stream::short().frames(5), &Fault::End);
        let long = Spacing::Long(Duration::from_secs(silence));
        // The response headers and the first event arrive together, because another limit applies
        // before the first event.
        let together = script.grouped(0b100, long);
        let outcome = outcome::stream_invoke(&together);
        assert!(outcome.is_ok(), "{silence} s: {outcome:#?}");
        assert!(
            outcome.heartbeats > 5,
            "{silence} s: {}",
            outcome.heartbeats
        );
    }
}

/// Checks that the gateway waits for `metadata` for 10 s after `messageStop`.
#[test]
fn metadata_has_ten_seconds() {
    for (seconds, has_usage) in [(9, true), (11, false)] {
        let script = Script::new(Http::Two, Stream::short().frames(5), &Fault::End);
        let played = script.grouped(u64::MAX, Spacing::Long(Duration::from_secs(seconds)));
        let outcome = outcome::stream_invoke(&played);
        assert!(outcome.is_ok(), "{outcome:#?}");
        assert_eq!(outcome.has_usage(), has_usage, "{seconds} s");
    }
    let script = Script::new(Http::One, Stream::short().frames(4), &Fault::Silence);
    let begun = std::time::Instant::now();
    let outcome = outcome::invoke(&script.grouped(0, Spacing::None));
    assert!(outcome.is_ok() && !outcome.has_usage(), "{outcome:#?}");
    assert_eq!(outcome.took.as_secs(), 10);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "the clock is paused"
    );
}

/// Checks that a new service has the same outcome as a service that has already served calls.
#[test]
fn the_service_under_test_answers() {
    let service = service();
    let limits = &service.generations.current().limits;
    assert!(limits.idle >= limits.max_deadline);
}
