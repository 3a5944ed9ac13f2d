//! Why a credential was refused, for the caller, the audit log and the metrics.

/// Why a credential was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// There is none.
    Missing,
    /// It is of no kind that this gateway takes.
    WrongKind,
    /// A key that was cut or mistyped.
    Malformed,
    /// A key that is not configured, or not any more.
    Unknown,
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYetValid,
    /// Its signature does not match, or its algorithm is not allowed.
    BadSignature,
    /// It was issued by another issuer or for another audience.
    WrongAudience,
    /// It is longer than any token that is accepted.
    TooLong,
    /// It is valid, but its caller is not configured.
    Unlisted,
    /// What is needed to check it is not available at the moment.
    Unverifiable,
}

impl Rejection {
    /// One word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::WrongKind => "wrong_kind",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::BadSignature => "bad_signature",
            Self::WrongAudience => "wrong_audience",
            Self::TooLong => "too_long",
            Self::Unlisted => "unlisted",
            Self::Unverifiable => "unverifiable",
        }
    }

    /// What the caller is told. It says what to do, and nothing about the credential that was sent.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Missing => {
                "this gateway serves known callers only, and the call has no credential; send an API key or a token as \
                 `authorization: Bearer ...`, or an API key as `x-api-key`"
            }
            Self::WrongKind => {
                "the credential is of no kind that this gateway accepts; send it as `authorization: Bearer ...`, or an API \
                 key as `x-api-key`"
            }
            Self::Malformed => {
                "the credential is incomplete or mistyped; send it exactly as it was issued"
            }
            Self::Unknown => {
                "the credential is not known to this gateway, or was revoked; ask its operator for another one"
            }
            Self::Expired => {
                "the credential has expired; use the next one, or read the token's file again"
            }
            Self::NotYetValid => "the credential is not valid yet; check the clocks",
            Self::BadSignature => {
                "the token's signature does not match any key of its issuer that this gateway accepts"
            }
            Self::WrongAudience => {
                "the token was issued by an issuer or for an audience that this gateway does not accept"
            }
            Self::TooLong => {
                "the token is longer than 16 KiB; ask its issuer for one with fewer claims"
            }
            Self::Unlisted => {
                "the credential is valid, but this gateway does not know its caller; ask the gateway's operator to add it"
            }
            Self::Unverifiable => {
                "the token cannot be checked at the moment, because the keys of its issuer cannot be fetched; try again"
            }
        }
    }
}
