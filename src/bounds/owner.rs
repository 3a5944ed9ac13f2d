//! The client to which a share belongs.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// The client to which a share belongs, identified by its address. All clients behind a load
/// balancer count as one, unless the operator trusts the client addresses that the load balancer
/// reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ShareOwner {
    /// The call did not arrive on a connection of the gateway, for example in a test of a single
    /// service.
    #[default]
    Unknown,
    /// An IPv4 address, or the /64 network of an IPv6 address, because one host can use all
    /// addresses of its network.
    Address(IpAddr),
}

impl ShareOwner {
    /// Returns the owner for this address.
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address => address,
        })
    }

    /// Returns the owner of the shares that a request takes. The connection or a layer has recorded
    /// it.
    pub fn of(extensions: &http::Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }
}

impl From<SocketAddr> for ShareOwner {
    fn from(address: SocketAddr) -> Self {
        Self::at(address.ip())
    }
}

impl fmt::Display for ShareOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_is_one_peer() {
        let at = |address: &str| ShareOwner::at(address.parse().unwrap());
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
    }
}
