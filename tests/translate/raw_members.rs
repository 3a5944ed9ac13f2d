//! Raw members in requests: the positions that are allowed and those that are not.

use bedrock_grpc::{error::MAX_VIOLATIONS, pb, translate::request};

fn input(raw: &[(&str, &str)]) -> pb::ConverseInput {
    let body = r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#;
    let mut input = request::from_converse(body.as_bytes()).unwrap();
    input.raw_members = raw
        .iter()
        .map(|(pointer, json)| pb::RawMember {
            pointer: (*pointer).to_owned(),
            json: (*json).to_owned(),
        })
        .collect();
    input
}

fn sent(raw: &[(&str, &str)]) -> String {
    let body = request::to_converse(&input(raw)).unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The only violation: its field and its description.
fn refused(raw: &[(&str, &str)]) -> (String, String) {
    let violations = request::to_converse(&input(raw)).unwrap_err();
    assert_eq!(violations.len(), 1, "{violations:?}");
    let violation = violations.into_iter().next().unwrap();
    (violation.field, violation.description)
}

#[test]
fn members_and_elements_are_appended_in_order_and_kept_byte_for_byte() {
    let sent = sent(&[
        ("/thinkHarder", "{ \"by\": 1e2 }"),
        ("/messages/0/content/0/tone", "\"kind\""),
        ("/messages/-", "{}"),
        ("/messages/2", "[]"),
        ("/messages/1/role", "\"robot\""),
        ("/messages/2/-", "0.10"),
        ("/a~1b~0c", "null"),
    ]);
    assert_eq!(
        sent,
        concat!(
            r#"{"messages":[{"role":"user","content":[{"text":"Hi","tone":"kind"}]},{"role":"robot"},[0.10]],"#,
            r#""thinkHarder":{ "by": 1e2 },"a/b~c":null}"#
        )
    );
}

#[test]
fn what_is_there_already_is_not_replaced() {
    for pointer in ["/messages", "/messages/0", "/messages/0/role"] {
        let (field, description) = refused(&[(pointer, "1")]);
        assert_eq!(field, "input.raw_members[0].pointer");
        assert!(description.contains("already sets"), "{description}");
    }
    let (field, _) = refused(&[("/new", "1"), ("/new", "2")]);
    assert_eq!(field, "input.raw_members[1].pointer");
    let (field, _) = refused(&[("/messages/-", "1"), ("/messages/1", "2")]);
    assert_eq!(field, "input.raw_members[1].pointer");
}

#[test]
fn a_parent_must_be_there_before() {
    for raw in [
        [("/new/member", "1"), ("/new", "{}")],
        [("/messages/0/role/x", "1"), ("/new", "{}")],
        [("/messages/1/x", "1"), ("/messages/-", "{}")],
        [("/messages/5", "1"), ("/messages/-", "{}")],
        [("/messages/x", "1"), ("/new", "{}")],
        [("/messages/01", "1"), ("/new", "{}")],
        [("/messages/-/x", "1"), ("/new", "{}")],
    ] {
        let (field, description) = refused(&raw);
        assert_eq!(
            field, "input.raw_members[0].pointer",
            "{raw:?}: {description}"
        );
    }
}

#[test]
fn pointers_and_values_must_be_well_formed() {
    for pointer in ["", "system", "/a~2", "/a~"] {
        let (field, _) = refused(&[(pointer, "1")]);
        assert_eq!(field, "input.raw_members[0].pointer");
    }
    let deep = "[".repeat(1_001) + &"]".repeat(1_001);
    for json in ["", "1 2", "{\"a\":}", "nul", &deep] {
        let (field, _) = refused(&[("/new", json)]);
        assert_eq!(field, "input.raw_members[0].json");
    }
    let (field, _) = refused(&[(&"/a".repeat(65), "1")]);
    assert_eq!(field, "input.raw_members[0].pointer");
}

#[test]
fn a_chain_of_raw_members_cannot_nest_without_bound() {
    let raw: Vec<_> = (1..=1_000)
        .map(|depth| ("/a".repeat(depth), "{}"))
        .collect();
    let raw: Vec<_> = raw
        .iter()
        .map(|(pointer, json)| (&**pointer, *json))
        .collect();
    let violations = request::to_converse(&input(&raw)).unwrap_err();
    // 936 are too deep; the number of violations is limited.
    assert_eq!(violations.len(), MAX_VIOLATIONS);
}

#[test]
fn a_raw_member_takes_the_place_of_a_default() {
    let body = r#"{"outputConfig":{"textFormat":{"type":"yaml"}}}"#;
    let input = request::from_converse(body.as_bytes()).unwrap();
    assert_eq!(
        input.raw_members[0].pointer,
        "/outputConfig/textFormat/type"
    );
    assert_eq!(request::to_converse(&input).unwrap(), body);
}
