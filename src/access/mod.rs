//! The identity of a caller, and how credentials prove it.
//!
//! A call's credential is checked before any of its message is read. The result is an
//! [`Identity`], which is then part of the call's context. The configured callers are an immutable
//! snapshot that is replaced as a whole while calls run: a call keeps the snapshot that it started
//! with.
//!
//! | file | job |
//! |---|---|
//! | `gate` | finds the identity of a call, by the verifiers in their order |
//! | `credential` | what a call's headers and connection hold as proof |
//! | `certificate` | client certificates: the names that they prove |
//! | `certificate_verifier` | accepts client certificates of configured authorities |
//! | `claimed` | who a credential names, as its issuer says it |
//! | `verifier` | the trait for checks of credentials that name the caller, such as tokens |
//! | [`token`] | checks tokens: of issuers, and of Kubernetes service accounts |
//! | [`key`] | the form of API keys: prefix, random part, checksum |
//! | [`limits`] | how much callers, groups and targets may use |
//! | `snapshot` | the configured callers and their keys |
//! | `caller` | one caller, as calls see it |
//! | `rejection` | why a credential was refused |
//! | `failures` | how many failed attempts a peer address has made |

mod caller;
mod certificate;
mod certificate_verifier;
mod claimed;
mod credential;
mod failures;
mod gate;
pub mod key;
pub mod limits;
mod rejection;
mod snapshot;
pub mod token;
mod verifier;

pub use caller::{Caller, Identity};
pub use certificate::ClientCertificate;
pub use certificate_verifier::CertificateVerifier;
pub use claimed::{ClaimKind, Claimed};
pub use credential::{Credential, Peer};
pub use gate::{Answer, Gate, Refused, Rules};
pub use rejection::Rejection;
pub use snapshot::Snapshot;
pub use verifier::{Verdict, Verifier};
