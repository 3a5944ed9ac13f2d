//! Determines the addresses of clients behind proxies, from the PROXY protocol at the beginning of
//! a connection or from `x-forwarded-for`.
//!
//! Source of the protocol: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, versions
//! 1 and 2.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::config::Network;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// The signature of version 1, and the maximum length of its line.
const V1: &[u8] = b"PROXY ";
const MAX_V1: usize = 107;
/// The signature of version 2, the length of the fixed part, and the maximum length of the variable
/// part.
const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD: usize = 16;
const MAX_V2: usize = 4 << 10;

/// Reads the header that a trusted proxy sends before the client's bytes. Reads nothing after it.
///
/// Returns the client's address. `None` if the proxy opened the connection for its own purposes,
/// such as health checks.
///
/// # Errors
/// Fails if there is no valid header.
pub(super) async fn header<I: AsyncRead + Unpin>(io: &mut I) -> io::Result<Option<IpAddr>> {
    let mut head = [0; V2_HEAD];
    let start = head.get_mut(..V1.len()).unwrap_or_default();
    io.read_exact(start).await?;
    if start == V1 {
        return version_1(io).await;
    }
    let rest = head.get_mut(V1.len()..).unwrap_or_default();
    io.read_exact(rest).await?;
    if head.get(..V2.len()) != Some(V2) {
        return Err(invalid(
            "a connection without a PROXY protocol header, from a proxy that must send one",
        ));
    }
    let [.., command, family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 || length > MAX_V2 {
        return Err(invalid("an unknown PROXY protocol header"));
    }
    let mut addresses = vec![0; length];
    io.read_exact(&mut addresses).await?;
    match (command & 0xf, family >> 4) {
        // The command is LOCAL, or the protocol has no IP addresses.
        (0, _) | (1, 0 | 3) => Ok(None),
        (1, 1) if length >= 12 => {
            let source: Option<[u8; 4]> =
                addresses.get(..4).and_then(|bytes| bytes.try_into().ok());
            Ok(source.map(|bytes| Ipv4Addr::from(bytes).into()))
        }
        (1, 2) if length >= 36 => {
            let source: Option<[u8; 16]> =
                addresses.get(..16).and_then(|bytes| bytes.try_into().ok());
            Ok(source.map(|bytes| Ipv6Addr::from(bytes).into()))
        }
        _ => Err(invalid("an unknown PROXY protocol header")),
    }
}

/// Reads the remaining part of a line such as `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n`.
async fn version_1<I: AsyncRead + Unpin>(io: &mut I) -> io::Result<Option<IpAddr>> {
    let mut line = Vec::with_capacity(MAX_V1);
    while !line.ends_with(b"\r\n") {
        if line.len() == MAX_V1 {
            return Err(invalid("an incomplete PROXY protocol header"));
        }
        line.push(io.read_u8().await?);
    }
    let line = str::from_utf8(&line).unwrap_or_default();
    let mut words = line.trim_end().split(' ');
    match (words.next(), words.next()) {
        (Some("UNKNOWN"), _) => Ok(None),
        (Some("TCP4" | "TCP6"), Some(source)) => source
            .parse()
            .map(Some)
            .map_err(|_| invalid("a PROXY protocol header without an address")),
        _ => Err(invalid("an unknown PROXY protocol header")),
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Returns the client of a request that arrived through trusted proxies: the last address that does
/// not belong to a proxy. The client may have invented the addresses before it.
pub(super) fn forwarded_for(
    headers: &HeaderMap,
    connection: IpAddr,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = connection;
    if !is_trusted(connection) {
        return client;
    }
    let values = headers.get_all(FORWARDED_FOR).iter().rev();
    let addresses = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
    for text in addresses {
        let Some(address) = address(text.trim()) else {
            return client;
        };
        client = address;
        if !is_trusted(address) {
            return client;
        }
    }
    client
}

/// Parses an address in the formats that proxies write: bare, in brackets, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Some(socket.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> (io::Result<Option<IpAddr>>, Vec<u8>) {
        let mut rest = bytes;
        let found = header(&mut rest).await;
        (found, rest.to_vec())
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = (addresses.len() as u16).to_be_bytes();
        [&V2[..], &[command, family], &length, addresses, b"rest"].concat()
    }

    #[tokio::test]
    async fn both_versions_are_read_to_their_end() {
        let v4 = "192.0.2.7".parse().ok();
        let v6 = "2001:db8::7".parse().ok();
        let Some(IpAddr::V6(v6_bytes)) = v6 else {
            unreachable!()
        };
        let long = [&[192, 0, 2, 7, 10, 0, 0, 1, 1, 1, 2, 2][..], &[4; 100]].concat();
        let six = [&v6_bytes.octets()[..], &[0; 20]].concat();
        for (bytes, expected) in [
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\nrest".to_vec(),
                v4,
            ),
            (b"PROXY TCP6 2001:db8::7 ::1 56324 443\r\nrest".to_vec(), v6),
            (b"PROXY UNKNOWN\r\nrest".to_vec(), None),
            (v2(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 1, 1, 2, 2]), v4),
            (v2(0x21, 0x11, &long), v4),
            (v2(0x21, 0x21, &six), v6),
            (v2(0x20, 0, &[]), None),
        ] {
            let (found, rest) = read(&bytes).await;
            assert_eq!(found.unwrap(), expected, "{bytes:?}");
            assert_eq!(rest, b"rest");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        for bytes in [
            &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
            b"PROXY TCP4 here there\r\n",
            b"PROXY TCP9 192.0.2.7 10.0.0.1 1 2\r\n",
            &[b"PROXY TCP4 ".as_slice(), &[b' '; 200]].concat(),
            b"PROXY",
            b"",
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 4]),
            &v2(0x21, 0x11, &[0; 60_000]),
        ] {
            assert!(read(bytes).await.0.is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = [Network::parse("10.0.0.0/8").unwrap()];
        let client = |connection: &str, headers: &[&str]| {
            let mut map = HeaderMap::new();
            for value in headers {
                map.append(FORWARDED_FOR, value.parse().unwrap());
            }
            forwarded_for(&map, connection.parse().unwrap(), &trusted).to_string()
        };
        assert_eq!(client("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["1.2.3.4, 192.0.2.9"]), "192.0.2.9");
        assert_eq!(
            client("10.0.0.1", &["1.2.3.4", "192.0.2.9, 10.0.0.2"]),
            "192.0.2.9"
        );
        assert_eq!(client("10.0.0.1", &["192.0.2.9:4711"]), "192.0.2.9");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["10.0.0.3"]), "10.0.0.3");
        assert_eq!(client("10.0.0.1", &["nonsense, 10.0.0.2"]), "10.0.0.2");
    }
}
