//! `trusted_proxies`: the proxies from which the gateway accepts the addresses of clients.

use std::net::IpAddr;

use super::section::Section;

/// The proxies from which the gateway accepts the addresses of clients. If a load balancer is not
/// listed, all its clients count as one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// The networks whose connections begin with a PROXY protocol header, version 1 or 2.
    /// `trusted_proxies.proxy_protocol_from`, default: none.
    pub proxy_protocol_from: Vec<Network>,
    /// The networks from which the header `x-forwarded-for` is trusted.
    /// `trusted_proxies.forwarded_for_from`, default: none.
    pub forwarded_for_from: Vec<Network>,
}

/// A network in CIDR notation, such as `10.0.0.0/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// An address in the network.
    address: IpAddr,
    /// The number of leading bits that all addresses of the network share.
    prefix: u8,
}

impl Network {
    /// Parses `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`.
    ///
    /// # Errors
    /// Returns what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a network; write ADDRESS/BITS, such as 10.0.0.0/8, or an address"
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= bits)
                .ok_or_else(wrong)?,
        };
        Ok(Self { address, prefix })
    }

    /// Returns whether the network contains all addresses of its family (IPv4 or IPv6).
    pub const fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Returns whether the network contains an address. An IPv4-mapped IPv6 address is compared as
    /// an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = u32::from(own) ^ u32::from(other);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = u128::from(own) ^ u128::from(other);
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> TrustedProxies {
    let mut networks = |key| section.list(key, Network::parse).unwrap_or_default();
    let proxies = TrustedProxies {
        proxy_protocol_from: networks("proxy_protocol_from"),
        forwarded_for_from: networks("forwarded_for_from"),
    };
    section.finish();
    proxies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "::1", true),
        ] {
            let network = Network::parse(network).unwrap();
            let address = address.parse().unwrap();
            assert_eq!(network.contains(address), expected, "{network:?} {address}");
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "host/8",
        ] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }
}
