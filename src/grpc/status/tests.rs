//! Tests that the table of errors in the documentation agrees with the table in the code.

use std::collections::BTreeSet;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const DOCS: &str = include_str!("../../../docs/errors.md");

/// Returns failures for all rows of a reason, as they are before anything was forwarded.
fn failures(reason: Reason) -> Vec<Failure> {
    let with = |http_status, original_status| {
        Failure::new(reason, "a reason")
            .in_phase(Phase::BeforeFirstEvent)
            .with_upstream(Upstream {
                http_status,
                original_status,
                ..Upstream::default()
            })
    };
    match reason {
        Reason::ModelError => [Some(429), Some(500), Some(599), Some(400), None]
            .map(|status| with(Some(424), status))
            .into(),
        Reason::UpstreamUnknown => [Some(429), Some(500), Some(599), Some(400), Some(499), None]
            .map(|status| with(status, None))
            .into(),
        Reason::CallerStreamLimit => vec![with(None, None).with_retry_after(SECOND)],
        Reason::CallerRateLimit | Reason::CallerBudgetExhausted => {
            vec![with(None, None), with(None, None).with_retry_after(SECOND)]
        }
        _ => vec![with(None, None)],
    }
}

const fn words(retry: Retry) -> &'static str {
    match retry {
        Retry::Never => "no",
        Retry::CallerDecides => "you decide",
        Retry::After => "after `RetryInfo`",
    }
}

/// Returns the code as gRPC's documentation spells it.
fn spelled(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Returns the values of a "retry?" cell. The text after the first clause is only an explanation.
fn retries(cell: &str) -> Vec<&str> {
    let first = cell.split([';', ',']).next().unwrap_or_default();
    let without = cell.contains("if there is none").then_some("no");
    std::iter::once(first).chain(without).collect()
}

/// Returns the reason, the code and the "retry?" value of each row of the page.
fn documented() -> BTreeSet<(String, String, String)> {
    let mut rows = BTreeSet::new();
    for line in DOCS.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        if cells.len() != 4 {
            // This row belongs to another table.
            continue;
        }
        for reason in cells[0].split(", ") {
            for retry in retries(cells[2]) {
                let reason = reason.trim_matches('`').to_owned();
                rows.insert((reason, cells[1].to_owned(), retry.to_owned()));
            }
        }
    }
    rows
}

#[test]
fn the_page_and_the_code_have_the_same_table() {
    let mut table = BTreeSet::new();
    for reason in Reason::ALL {
        for failure in failures(*reason) {
            let (code, retry) = row(&failure);
            table.insert((
                reason.as_str().to_owned(),
                spelled(code),
                words(retry).to_owned(),
            ));
        }
    }
    let page = documented();
    let missing: Vec<_> = table.difference(&page).collect();
    let wrong: Vec<_> = page.difference(&table).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "docs/errors.md lacks {missing:#?}, and has no reason for {wrong:#?}"
    );
}

#[test]
fn retry_info_pushback_and_retryable_follow_from_the_table() {
    for failure in Reason::ALL.iter().flat_map(|reason| failures(*reason)) {
        for phase in [Phase::Connect, Phase::BeforeFirstEvent, Phase::MidStream] {
            let failure = failure.clone().in_phase(phase);
            let (_, retry) = row(&failure);
            let status = status(&failure, &[], "");
            let pushback = status.metadata().get(PUSHBACK).unwrap().to_str().unwrap();
            let after = retry == Retry::After && phase != Phase::MidStream;
            let told = if after { "1000" } else { "-1" };
            assert_eq!(pushback, told, "{failure}");
            let details = tonic_types::Status::decode(status.details())
                .unwrap()
                .details;
            let retry_info = |any: &Any| any.type_url.ends_with("RetryInfo");
            assert_eq!(details.iter().any(retry_info), after, "{failure}");
            let upstream = details
                .iter()
                .find(|any| any.type_url.ends_with("UpstreamError"));
            let upstream = pb::UpstreamError::decode(&*upstream.unwrap().value).unwrap();
            assert_eq!(upstream.retryable, retry != Retry::Never, "{failure}");
        }
    }
}
