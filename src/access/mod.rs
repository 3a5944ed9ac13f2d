//! Identifies the caller of each call by its credential, and determines what the caller may do.
//!
//! A call's credential is checked before its message is read. The result is an [`Identity`], which
//! becomes part of the call's context. The configured callers form an immutable snapshot. A reload
//! replaces the snapshot while calls run; each call keeps the snapshot with which it began.
//!
//! | file | job |
//! |---|---|
//! | `gate` | decides whether a call is allowed, and who its caller is |
//! | `credential` | reads the credential from a call's headers and connection |
//! | `certificate` | client certificates, and the names that they contain |
//! | `certificate_verifier` | accepts client certificates that the configured CAs issued |
//! | `claimed_caller` | the caller that a credential names, according to its issuer |
//! | `verifier` | the trait of verifiers, which check credentials such as tokens |
//! | [`token`] | checks tokens of issuers and of Kubernetes service accounts |
//! | [`key`] | the format of API keys: prefix, random part, checksum |
//! | [`limits`] | limits of callers, groups and targets |
//! | `snapshot` | the configured callers and their keys |
//! | `permission` | what a caller may do |
//! | `caller` | a caller, with the settings that apply to it |
//! | `revocation` | ends open calls that a new configuration does not accept |
//! | `rejection` | why a credential was refused |
//! | `failures` | counts the recent failed attempts of each peer address |

mod caller;
mod certificate;
mod certificate_verifier;
mod claimed_caller;
mod credential;
mod failures;
mod gate;
pub mod key;
pub mod limits;
mod permission;
mod rejection;
mod revocation;
mod snapshot;
pub mod token;
mod verifier;

pub use caller::{Caller, CredentialKind, Identity};
pub use certificate::ClientCertificate;
pub use certificate_verifier::CertificateVerifier;
pub use claimed_caller::{ClaimKind, ClaimedCaller};
pub use credential::{Credential, Peer};
pub use gate::{Allowed, Gate, GateDecision, RefusedCall, Rules};
pub use permission::{AllowList, Permission};
pub use rejection::Rejection;
pub use revocation::Revocation;
pub use snapshot::Snapshot;
pub use verifier::{Verification, Verifier};
