//! The bytes of a TCP connection that the kernel holds.

use std::{fs, net::SocketAddr};

/// Returns the numbers of bytes that the socket at `local` has written and the peer has not
/// received, and that it has received and not read. `None`: the socket is closed.
pub(crate) fn queues(local: SocketAddr, peer: SocketAddr) -> Option<(usize, usize)> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let (local, peer) = (as_in_table(local), as_in_table(peer));
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let ends = (fields.next()?, fields.next()?);
        let (sent, received) = fields.nth(1)?.split_once(':')?;
        let bytes = |text| usize::from_str_radix(text, 16).ok();
        (ends == (&local, &peer)).then_some((bytes(sent)?, bytes(received)?))
    })
}

/// The table writes an IPv4 address as a number in the machine's byte order.
fn as_in_table(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else {
        panic!("the table holds IPv4 only");
    };
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}
