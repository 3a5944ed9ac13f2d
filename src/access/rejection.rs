//! Why a credential was refused, for the caller, the audit log and the metrics.

/// Why a credential was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The call has no credential.
    Missing,
    /// The credential is of a kind that this gateway does not accept.
    WrongKind,
    /// The key is truncated or mistyped.
    Malformed,
    /// The key is not configured, or is no longer configured.
    Unknown,
    /// The credential has expired.
    Expired,
    /// The credential is not valid yet.
    NotYetValid,
    /// The signature is wrong, or its algorithm is not allowed.
    BadSignature,
    /// The connection has no certificate, or its CA is no longer accepted.
    UntrustedCertificate,
    /// The token was issued by another issuer or for another audience.
    WrongAudience,
    /// The token is longer than the maximum.
    TooLong,
    /// The credential is valid, but its caller is not configured.
    Unlisted,
    /// The gateway cannot check the credential at the moment.
    Unverifiable,
}

impl Rejection {
    /// Returns the name of the rejection in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::WrongKind => "wrong_kind",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::BadSignature => "bad_signature",
            Self::UntrustedCertificate => "untrusted_certificate",
            Self::WrongAudience => "wrong_audience",
            Self::TooLong => "too_long",
            Self::Unlisted => "unlisted",
            Self::Unverifiable => "unverifiable",
        }
    }

    /// Returns the message for the caller. It says what to do, and reveals nothing about the
    /// credential.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Missing => {
                "the call has no credential; send an API key or a token as \
                 `authorization: Bearer ...`, or an API key as `x-api-key`"
            }
            Self::WrongKind => {
                "this gateway does not accept this kind of credential; send an API key or a token as `authorization: Bearer ...`, or an API \
                 key as `x-api-key`"
            }
            Self::Malformed => {
                "the credential is incomplete or mistyped; send it exactly as it was issued"
            }
            Self::Unknown => {
                "the credential is unknown to this gateway, or was revoked; ask the operator for another one"
            }
            Self::Expired => {
                "the credential has expired; use a new one, or read the token file again"
            }
            Self::NotYetValid => {
                "the credential is not valid yet; check the clocks of its issuer and of the gateway"
            }
            Self::BadSignature => {
                "the token's signature does not match any key of its issuer that this gateway accepts"
            }
            Self::UntrustedCertificate => {
                "the connection has no client certificate that this gateway still accepts; open a new connection with a certificate \
                 of an accepted authority"
            }
            Self::WrongAudience => {
                "the token was issued by an issuer or for an audience that this gateway does not accept"
            }
            Self::TooLong => {
                "the token is longer than 16 KiB; ask its issuer for one with fewer claims"
            }
            Self::Unlisted => {
                "the credential is valid, but its caller is not configured at this gateway; ask the operator to add the caller"
            }
            Self::Unverifiable => {
                "the token cannot be checked at the moment, because the gateway cannot fetch the keys of its issuer; retry later"
            }
        }
    }
}
