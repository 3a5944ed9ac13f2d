//! Problems of callers, and of the ways in which they authenticate.

use super::expect_problems;

/// Each problem of a caller, with the start of its message.
#[test]
fn wrong_callers_are_reported_with_what_is_right() {
    expect_problems(&[
        (
            "groups: {a: {}}\ncallers: {'team a': {}, b: {groups: [A, zzzz], keys: [{not_after: soon}, {}, {sha256: bgrpc_canary}]}}",
            &[
                "callers.team a: use 1 to 128 letters",
                "callers.b.groups[0]: unknown group `A`; did you mean `a`?",
                "callers.b.groups[1]: unknown group `zzzz`; add it to `groups`",
                "callers.b.keys: at most 2 keys",
                "callers.b.keys[0].sha256: required",
                "callers.b.keys[0].not_after: `soon` is not a point in time",
                "callers.b.keys[1].sha256: required",
                "callers.b.keys[2].sha256: not a SHA-256 in 64 hexadecimal digits",
            ],
        ),
        (
            "groups: {a: {}, b: {}}\ncallers: {x: {groups: [a, b, a]}, y: {groups: [b, a]}}",
            &["callers.x.groups: group `a` is listed twice; remove one of the entries"],
        ),
        (
            "access:\n  jwt:\n    - algorithms: [none, HS256, RS257]\n      jwks_url: http://keys.example\n      jwks_file: a\n    - {issuer: here, audiences: []}\n    - {issuer: 'https://a.example', audiences: [a], refresh: 25h, unlisted: {groups: [b]}}\n    - {issuer: 'https://a.example', audiences: a}",
            &[
                "access.jwt[0].issuer: required: the value of the tokens' `iss`",
                "access.jwt[0].audiences: required: tokens for other services",
                "access.jwt[0].algorithms[0]: `none` is not accepted",
                "access.jwt[0].algorithms[1]: `HS256` is not accepted",
                "access.jwt[0].algorithms[2]: `RS257` is not one of: RS256,",
                "access.jwt[0].jwks_url: `http://keys.example` has no TLS",
                "access.jwt[1].audiences: must not be empty",
                "access.jwt[1].issuer: its keys cannot be discovered: `here` is not a URL",
                "access.jwt[2].refresh: must be from 1s to 24h",
                "access.jwt[2].unlisted.groups[0]: unknown group `b`",
                "access.jwt[3].issuer: this issuer is listed twice",
                "access.jwt[3].audiences: expected a list",
            ],
        ),
        (
            "access: {kubernetes: {jwks_url: 'https://a'}}\ncallers: {a: {service_accounts: [b/c, b]}, d: {service_accounts: [b/c]}}",
            &[
                "access.kubernetes.audience: required",
                "access.kubernetes.jwks_url: needs `issuer`",
                "callers.a.service_accounts[1]: `b` is not a service account; write namespace/name",
                "callers.d.service_accounts[0]: `b/c` is listed for several callers",
            ],
        ),
        (
            "access: {kubernetes: {audience: a, issuer: 'https://a', token_file: b}}",
            &["access.kubernetes.issuer: cannot be combined with api_server or token_file"],
        ),
        (
            "tls: {certificate_file: a, key_file: b, client_auth: maybe}",
            &["tls.client_auth: `maybe` is not one of: required, optional"],
        ),
        (
            "tls: {certificate_file: a, key_file: b, client_auth: optional}",
            &["tls.client_auth: needs `client_ca_file`"],
        ),
        (
            "tls: {certificate_file: a, key_file: b, client_ca_file: c}\ncallers: {a: {certificates: ['spiffe://a/b', 'x y', '*.example', A.example]}, b: {certificates: [a.example]}}",
            &[
                "callers.a.certificates[1]: `x y` is not a name of a certificate; write a SPIFFE ID",
                "callers.a.certificates[2]: `*.example` is not a name",
                "callers.b.certificates[0]: `a.example` is listed for several callers",
            ],
        ),
        (
            "callers: {a: {certificates: [b]}}",
            &["callers.a.certificates[0]: needs `tls.client_ca_file`"],
        ),
        (
            "callers: {a: {service_accounts: [b/c]}}",
            &["callers.a.service_accounts[0]: needs `access.kubernetes`"],
        ),
        (
            "callers: {a: {keys: [{sha256: '00000000000000000000000000000000000000000000000000000000000000aa'}]}, b: {keys: [{sha256: '00000000000000000000000000000000000000000000000000000000000000AA'}]}}",
            &["callers.b.keys: the key 00000000 is listed twice, here and for `a`"],
        ),
    ]);
}
