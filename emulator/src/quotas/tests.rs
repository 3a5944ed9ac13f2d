//! Tests quotas and capacity as a state machine, on a paused clock.

use std::time::Duration;

use tokio::time::advance;

use super::{
    ACCOUNT, Admission, Lease, Ledger, Quota, Quotas, Rate, Refused, Scope, Tokens,
    ledger::{Ended, Minute, Running},
};

const MODEL: &str = "amazon.nova-lite-v1:0";

fn rate(requests: Option<u64>, tokens: Option<u64>) -> Rate {
    Rate {
        requests_per_minute: requests,
        tokens_per_minute: tokens,
    }
}

/// A caller whose source Region is us-east-1.
struct Caller {
    ledger: Ledger,
    destinations: Vec<String>,
}

impl Caller {
    fn new(quotas: Quotas) -> Self {
        Self {
            ledger: Ledger::new(quotas),
            destinations: ["us-east-1", "us-east-2", "us-west-2"]
                .map(str::to_owned)
                .into(),
        }
    }

    fn ask(&self, scope: Scope, reserve: u64, charge: u64) -> Result<Lease, Refused> {
        self.ledger.admit(Admission {
            account: ACCOUNT,
            model: MODEL,
            source: "us-east-1",
            scope,
            destinations: &self.destinations,
            reserve,
            charge,
            usage: Tokens {
                input: charge,
                output: 1,
            },
        })
    }

    fn refused(&self, scope: Scope, reserve: u64) -> Option<Refused> {
        self.ask(scope, reserve, 0).err()
    }

    /// Returns the requests and tokens that were counted within the last minute.
    fn minute(&self) -> (u64, u64) {
        let used = self.ledger.used().minutes;
        used.first()
            .map_or((0, 0), |minute| (minute.requests, minute.tokens))
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_requests_within_any_minute() {
    let caller = Caller::new(Quotas::everywhere(Quota::rate(rate(Some(2), None))));
    assert_eq!(caller.refused(Scope::OnDemand, 1), None);
    advance(Duration::from_secs(40)).await;
    assert_eq!(caller.refused(Scope::OnDemand, 1), None);
    for _ in 0..3 {
        // A call that is refused uses nothing.
        assert_eq!(caller.refused(Scope::OnDemand, 1), Some(Refused::Requests));
    }
    advance(Duration::from_millis(19_999)).await;
    assert_eq!(caller.refused(Scope::OnDemand, 1), Some(Refused::Requests));
    advance(Duration::from_millis(1)).await;
    assert_eq!(caller.refused(Scope::OnDemand, 1), None);
    assert_eq!(caller.refused(Scope::OnDemand, 1), Some(Refused::Requests));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_reserved_and_then_settled() {
    let caller = Caller::new(Quotas::everywhere(Quota::rate(rate(None, Some(1000)))));
    let first = caller.ask(Scope::OnDemand, 900, 150).unwrap();
    assert_eq!(caller.minute(), (1, 900));
    assert_eq!(caller.refused(Scope::OnDemand, 101), Some(Refused::Tokens));
    drop(first);
    assert_eq!(caller.minute(), (1, 150));
    // Because of the burn-down, a call can use more than it reserved.
    let second = caller.ask(Scope::OnDemand, 850, 1200).unwrap();
    drop(second);
    assert_eq!(caller.minute(), (2, 1350));
    assert_eq!(caller.refused(Scope::OnDemand, 0), Some(Refused::Tokens));
    advance(Duration::from_secs(60)).await;
    assert_eq!(caller.minute(), (0, 0));
    // A call that needs more than the quota of a whole minute is never admitted.
    assert_eq!(caller.refused(Scope::OnDemand, 1001), Some(Refused::Tokens));
}

#[tokio::test(start_paused = true)]
async fn a_call_of_more_than_a_minute_settles_nothing_of_later_ones() {
    let caller = Caller::new(Quotas::everywhere(Quota::rate(rate(None, Some(1000)))));
    let long = caller.ask(Scope::OnDemand, 600, 500).unwrap();
    advance(Duration::from_secs(61)).await;
    let next = caller.ask(Scope::OnDemand, 700, 10).unwrap();
    drop(long);
    assert_eq!(caller.minute(), (1, 700));
    caller
        .ledger
        .set(Quotas::everywhere(Quota::rate(rate(Some(9), None))));
    assert_eq!(caller.minute(), (0, 0));
    drop(caller.ask(Scope::OnDemand, 5, 5));
    drop(next);
    assert_eq!(caller.minute(), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn on_demand_geographic_and_global_calls_are_counted_apart() {
    let quota = Quota {
        on_demand: rate(Some(1), None),
        cross_region: rate(Some(2), None),
        ..Quota::default()
    };
    let caller = Caller::new(Quotas::everywhere(quota));
    let admitted = |scope| {
        (0..5)
            .filter(|_| caller.refused(scope, 1).is_none())
            .count()
    };
    assert_eq!(admitted(Scope::OnDemand), 1);
    assert_eq!(admitted(Scope::CrossRegion), 2);
    assert_eq!(admitted(Scope::Global), 5);
    let minutes = caller.ledger.used().minutes;
    let minute = |scope, requests| Minute {
        account: ACCOUNT.to_owned(),
        model: MODEL,
        region: "us-east-1".to_owned(),
        scope,
        requests,
        tokens: 0,
    };
    // Without limits, usage is not counted.
    assert_eq!(
        minutes,
        [minute(Scope::OnDemand, 1), minute(Scope::CrossRegion, 2)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_source_serves_while_it_has_room_and_then_the_least_used() {
    let at_once = Quota::capacity;
    let quotas = Quotas::everywhere(at_once(4))
        .with(None, Some("us-east-1"), at_once(2))
        .with(Some(MODEL), Some("us-west-2"), at_once(2));
    let caller = Caller::new(quotas);
    let mut running = Vec::new();
    let mut order = Vec::new();
    while let Ok(lease) = caller.ask(Scope::CrossRegion, 1, 1) {
        order.push(lease.region().to_owned());
        running.push(lease);
    }
    // us-east-2 has 4 slots, and us-west-2 has 2. At equal relative load, us-east-2 is preferred,
    // because it is listed first.
    let (home, other, last) = ("us-east-1", "us-east-2", "us-west-2");
    assert_eq!(order, [home, home, other, last, other, other, last, other]);
    assert_eq!(
        caller.refused(Scope::CrossRegion, 1),
        Some(Refused::Capacity)
    );
    running.remove(3);
    assert_eq!(caller.ask(Scope::CrossRegion, 1, 1).unwrap().region(), last);
    running.remove(0);
    assert_eq!(caller.ask(Scope::CrossRegion, 1, 1).unwrap().region(), home);
    let regions: Vec<_> = caller.ledger.used().running;
    let calls = |region: &str, calls| Running {
        model: MODEL,
        region: region.to_owned(),
        calls,
    };
    assert_eq!(regions, [calls(home, 1), calls(other, 4), calls(last, 1)]);
    drop(running);
    assert_eq!(caller.ledger.used().running, []);
}

#[test]
fn the_nearest_override_holds() {
    let quotas = Quotas::everywhere(Quota::capacity(1))
        .with(Some("m"), Some("r"), Quota::capacity(2))
        .with(Some("m"), None, Quota::capacity(3))
        .with(None, Some("r"), Quota::capacity(4))
        .with(None, Some("r"), Quota::capacity(5));
    let capacity = |model, region| quotas.of(model, region).capacity;
    assert_eq!(capacity("m", "r"), Some(2));
    assert_eq!(capacity("m", "other"), Some(3));
    assert_eq!(capacity("other", "r"), Some(5));
    assert_eq!(capacity("other", "other"), Some(1));
}

#[tokio::test(start_paused = true)]
async fn calls_that_have_ended_are_added_up() {
    let caller = Caller::new(Quotas::default());
    let first = caller.ask(Scope::OnDemand, 10, 7).unwrap();
    drop(caller.ask(Scope::Global, 10, 5).unwrap());
    drop(first);
    let before = caller.ask(Scope::OnDemand, 10, 100).unwrap();
    let ended = Ended {
        account: ACCOUNT.to_owned(),
        model: MODEL,
        calls: 2,
        input_tokens: 12,
        output_tokens: 2,
    };
    assert_eq!(caller.ledger.used().ended, [ended]);
    // A call that was admitted before does not count against new quotas.
    caller.ledger.set(Quotas::default());
    drop(before);
    assert!(caller.ledger.used().ended.is_empty());
}
