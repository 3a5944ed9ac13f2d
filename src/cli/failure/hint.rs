//! What a person can do about a gateway that cannot be reached.

use std::{
    error::Error,
    io::{self, ErrorKind},
};

use super::causes::find;

/// Returns what to do if no connection can be opened.
pub(super) fn of_unreachable(error: &(dyn Error + 'static), address: &str) -> &'static str {
    let of_io: Option<&io::Error> = find(error);
    let tls = of_io
        .and_then(io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .or_else(|| find(error));
    if let Some(tls) = tls {
        return of_tls(tls);
    }
    match of_io.map(io::Error::kind) {
        Some(ErrorKind::ConnectionRefused) => {
            "start the gateway, or set --address to where it listens"
        }
        Some(ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => {
            "check --address, and whether a firewall or a network policy blocks the connection"
        }
        // Over TLS, the other end closes connections that it does not accept.
        Some(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) if is_tls(address) => {
            "use http:// in --address if the gateway serves no TLS"
        }
        _ => "check the host and the port of --address",
    }
}

fn of_tls(error: &rustls::Error) -> &'static str {
    use rustls::{CertificateError, Error};

    match error {
        Error::InvalidMessage(_) => {
            "the other end does not speak TLS: use http:// in --address if the gateway serves none"
        }
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "pass the gateway's CA certificate with --ca",
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "use a host name in --address that is in the gateway's certificate",
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => {
            "the operator must renew the gateway's certificate; also check the clock of this machine"
        }
        Error::AlertReceived(_) => {
            "the gateway refused the client certificate: check --client-cert and --client-key"
        }
        _ => "check --address, --ca, --client-cert and --client-key",
    }
}

/// Returns what to do if an open connection breaks.
pub(super) fn of_broken(address: &str) -> &'static str {
    if is_tls(address) {
        "try again; if every call fails, check --client-cert and --client-key"
    } else {
        "try again; if every call fails, use https:// in --address if the gateway serves TLS"
    }
}

fn is_tls(address: &str) -> bool {
    address.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(error: io::Error) -> &'static str {
        of_unreachable(&error, "https://gateway:1")
    }

    #[test]
    fn each_cause_has_its_remedy() {
        let tls = |error: rustls::Error| io::Error::new(ErrorKind::InvalidData, error);
        let unknown = rustls::CertificateError::UnknownIssuer;
        let message = rustls::InvalidMessage::InvalidContentType;
        for (error, expected) in [
            (
                io::Error::from(ErrorKind::ConnectionRefused),
                "start the gateway",
            ),
            (io::Error::from(ErrorKind::TimedOut), "firewall"),
            (io::Error::from(ErrorKind::UnexpectedEof), "http://"),
            (io::Error::other("no such host"), "host and the port"),
            (tls(rustls::Error::InvalidMessage(message)), "http://"),
            (tls(rustls::Error::InvalidCertificate(unknown)), "--ca"),
        ] {
            let shown = format!("{error:?}");
            let hint = unreachable(error);
            assert!(hint.contains(expected), "{shown}: {hint}");
        }
        assert!(of_broken("http://gateway:1").contains("https://"));
    }
}
