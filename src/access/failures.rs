//! Counts the recent failed attempts of each peer address, in limited memory even under attack.
//!
//! If an address exceeds the limit, further failed attempts are not logged individually, and the
//! client receives a retry delay. A valid credential is never refused because of the limit, because
//! all callers behind a proxy share one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The maximum number of addresses that are counted. If there are more, addresses without recent
/// failures are removed. If that is not enough, all addresses are removed.
const MOST_ADDRESSES: usize = 4_096;
const MINUTE: Duration = Duration::from_secs(60);

/// The failed attempts by peer address.
#[derive(Debug, Default)]
pub(super) struct Failures {
    addresses: Mutex<HashMap<IpAddr, Window>>,
}

/// The failed attempts of one address within a minute, which begins with the first of them.
#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    failed: u32,
}

/// How to treat a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The attempt is within the limit: answer it and log it.
    Told,
    /// The first attempt beyond the limit. The log says that further attempts will not be logged
    /// for this time.
    Last(Duration),
    /// A later attempt beyond the limit. After this time, the limit is renewed.
    Limited(Duration),
}

impl Failures {
    /// Counts a failed attempt of an address, and compares the count with the limit `per_minute`.
    pub(super) fn count(&self, address: IpAddr, now: Instant, per_minute: u32) -> Attempt {
        let address = block(address);
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= MOST_ADDRESSES && !addresses.contains_key(&address) {
            addresses.retain(|_, window| now < window.began + MINUTE);
            if addresses.len() >= MOST_ADDRESSES {
                addresses.clear();
            }
        }
        let new = Window {
            began: now,
            failed: 0,
        };
        let window = addresses.entry(address).or_insert(new);
        if now >= window.began + MINUTE {
            *window = new;
        }
        window.failed = window.failed.saturating_add(1);
        let rest = (window.began + MINUTE).saturating_duration_since(now);
        match window.failed.checked_sub(per_minute) {
            None | Some(0) => Attempt::Told,
            Some(1) => Attempt::Last(rest),
            Some(_) => Attempt::Limited(rest),
        }
    }
}

/// Returns the address under which attempts are counted. For IPv6, this is the /64 network, because
/// one machine can use all of its addresses.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn an_address_has_its_share_of_each_minute() {
        let failures = Failures::default();
        let (a, b) = (
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from([10, 0, 0, 1]),
        );
        let start = Instant::now();
        assert_eq!(failures.count(a, start, 2), Attempt::Told);
        assert_eq!(failures.count(a, start, 2), Attempt::Told);
        assert_eq!(failures.count(a, start, 2), Attempt::Last(MINUTE));
        let later = start + Duration::from_secs(20);
        let rest = Duration::from_secs(40);
        assert_eq!(failures.count(a, later, 2), Attempt::Limited(rest));
        assert_eq!(failures.count(b, later, 2), Attempt::Told);
        assert_eq!(failures.count(a, start + MINUTE, 2), Attempt::Told);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let failures = Failures::default();
        let now = Instant::now();
        let address = |low| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, low));
        assert_eq!(failures.count(address(1), now, 1), Attempt::Told);
        assert_ne!(failures.count(address(2), now, 1), Attempt::Told);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let failures = Failures::default();
        let now = Instant::now();
        for number in 0..100_000_u32 {
            failures.count(IpAddr::from(Ipv4Addr::from(number)), now, 1);
            assert!(failures.addresses.lock().unwrap().len() <= MOST_ADDRESSES);
        }
    }
}
