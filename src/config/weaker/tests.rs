use super::{
    protection::{GUARDRAIL, S3_LOCATIONS},
    *,
};

const ENFORCED: &str = "guardrail: {identifier: gr-1234567890ab, version: '1', enforced: true}";
const OPTIONAL: &str = "guardrail: {identifier: gr-1234567890ab, version: '1'}";

fn config(text: &str) -> Config {
    Config::parse(text, &|_| None).unwrap()
}

fn of_target(more: &str) -> String {
    format!("targets: {{a: {{model_id: amazon.nova-lite-v1:0{more}}}}}\n")
}

#[test]
fn an_enforced_guardrail_does_not_disappear() {
    let bare = of_target("");
    let of_all = |guardrail: &str| format!("{guardrail}\n{bare}");
    let in_target = |guardrail: &str| of_target(&format!(", {guardrail}"));
    let in_defaults = of_target(&format!(", defaults: {{{ENFORCED}}}"));
    let other = "targets: {b: {model_id: amazon.nova-lite-v1:0}}\n";
    let renewed = ENFORCED.replace("'1'", "'2'");
    for (old, new, lost) in [
        (of_all(ENFORCED), bare.clone(), Some(GUARDRAIL)),
        (of_all(ENFORCED), of_all(OPTIONAL), Some(GUARDRAIL)),
        (of_all(ENFORCED), in_target(ENFORCED), Some(GUARDRAIL)),
        (
            in_target(ENFORCED),
            bare.clone(),
            Some("targets.a.guardrail"),
        ),
        (
            in_target(ENFORCED),
            in_target(OPTIONAL),
            Some("targets.a.guardrail"),
        ),
        (
            in_defaults.clone(),
            bare.clone(),
            Some("targets.a.guardrail"),
        ),
        // In these cases the protection remains, there was none, nothing is left to protect, or
        // the operator allows the change.
        (of_all(ENFORCED), of_all(&renewed), None),
        (in_defaults, in_target(ENFORCED), None),
        (in_target(ENFORCED), other.to_owned(), None),
        (of_all(OPTIONAL), bare.clone(), None),
        (
            of_all(ENFORCED),
            format!("allow_weaker: true\n{bare}"),
            None,
        ),
    ] {
        let weaker = weakened(&config(&old), &config(&new));
        let keys: Vec<_> = weaker.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, Vec::from_iter(lost), "{old} -> {new}");
        for (_, what) in weaker {
            assert!(what.starts_with("no guardrail"), "{what}");
        }
    }
}

#[test]
fn a_target_can_lose_its_fence_and_its_guardrail() {
    let old = config(&of_target(&format!(", only: [us], {ENFORCED}")));
    let keys = protection(&old);
    assert_eq!(keys, ["targets", "targets.a.only", "targets.a.guardrail"]);
    let lost = weakened(&old, &config(&of_target("")));
    let lost: Vec<_> = lost.into_iter().map(|(key, _)| key).collect();
    assert_eq!(lost, keys[1..]);
}

/// Every setting that restricts calls is protected, wherever it is set.
#[test]
fn no_restriction_disappears() {
    let target = |more: &str| of_target(more);
    let lost = |old: &str, new: &str| {
        let lost = weakened(&config(old), &config(new));
        let lost = lost.into_iter().map(|(key, what)| format!("{key}: {what}"));
        lost.collect::<Vec<_>>()
    };
    let bare = target("");
    for (setting, key) in [
        ("limits: {max_tokens: 100}", "limits.max_tokens"),
        ("service_tiers: [flex]", "service_tiers"),
    ] {
        let expected = format!("{key}: the restriction of all targets is missing");
        assert_eq!(lost(&format!("{setting}\n{bare}"), &bare), [expected]);
        let expected = format!("targets.a.{key}: the restriction of the target is missing");
        assert_eq!(lost(&target(&format!(", {setting}")), &bare), [expected]);
    }
    let quota = target(", limits: {tokens_per_minute: 100}");
    assert_eq!(
        lost(&quota, &bare),
        ["targets.a.limits.tokens_per_minute: the restriction of the target is missing"]
    );
    let restrictions = [
        (ENFORCED, "guardrail"),
        ("limits: {max_tokens: 100}", "limits.max_tokens"),
        ("limits: {open_streams: 1}", "limits.open_streams"),
        ("methods: [Invoke]", "methods"),
        ("service_tiers: [flex]", "service_tiers"),
        ("project: a", "project"),
    ];
    for (setting, key) in restrictions {
        let with = |caller: &str, group: &str| {
            format!("{bare}callers: {{x.y: {{{caller}}}, z: {{}}}}\ngroups: {{g.h: {{{group}}}}}\n")
        };
        let free = with("", "");
        let of_caller = lost(&with(setting, ""), &free);
        assert_eq!(of_caller.len(), 1, "{of_caller:?}");
        assert!(of_caller[0].starts_with(&format!("callers.x.y.{key}: ")));
        // Nothing is lost by a group that has no callers.
        assert_eq!(lost(&with("", setting), &free), [""; 0]);
        let of_group = lost(&with("groups: [g.h]", setting), &with("groups: [g.h]", ""));
        assert_eq!(of_group.len(), 2, "{of_group:?}");
        assert!(of_group[0].starts_with(&format!("groups.g.h.{key}: ")));
        assert!(of_group[1].starts_with("callers.x.y.groups[g.h]: "));
        // A caller must not leave a group with restrictions, unless the caller is removed.
        let member = with("groups: [g.h]", setting);
        let left =
            "callers.x.y.groups[g.h]: the caller would lose the restrictions of the group g.h";
        assert_eq!(lost(&member, &with("", setting)), [left]);
        let no_group = format!("{bare}callers: {{x.y: {{}}}}\n");
        assert_eq!(lost(&member, &no_group), [left]);
        let no_caller = format!("{bare}callers: {{z: {{}}}}\n");
        assert_eq!(lost(&member, &no_caller), [""; 0]);
        assert_eq!(lost(&with("groups: [g.h]", ""), &free), [""; 0]);
    }
    // Changing the value of a setting does not remove it.
    let changed = target(", limits: {max_tokens: 5, tokens_per_minute: 7}");
    assert_eq!(
        lost(
            &target(", limits: {max_tokens: 100, tokens_per_minute: 100}"),
            &changed
        ),
        [""; 0]
    );
}

#[test]
fn a_list_of_locations_restricts_only_what_another_list_allows() {
    let of_all = "s3_locations: ['s3://bucket']\n";
    let (bare, narrow) = (
        of_target(""),
        of_target(", s3_locations: ['s3://bucket/b/']"),
    );
    let key = "targets.a.s3_locations";
    assert_eq!(
        lost(&format!("{of_all}{narrow}"), &format!("{of_all}{bare}")),
        [key]
    );
    assert_eq!(lost(&narrow, &bare), [""; 0]);
    assert_eq!(lost(&format!("{of_all}{bare}"), &bare), [""; 0]);
    // A request may name what all lists allow, so the list of all targets restricts others.
    let everywhere = of_target(", s3_locations: ['*']");
    assert_eq!(
        lost(&format!("{of_all}{everywhere}"), &everywhere),
        [S3_LOCATIONS]
    );
    for section in ["callers", "groups"] {
        let inner = format!("{bare}{section}: {{x: {{s3_locations: ['*']}}}}\n");
        assert_eq!(lost(&format!("{of_all}{inner}"), &inner), [S3_LOCATIONS]);
    }
}

/// Returns the keys that are lost by a change.
fn lost(old: &str, new: &str) -> Vec<String> {
    let lost = weakened(&config(old), &config(new));
    lost.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_project_does_not_disappear() {
    let bare = of_target("");
    let of_caller = |more: &str| format!("{bare}callers: {{x.y: {{{more}}}}}\n");
    let by_region = of_target(", project: {us-east-1: a, eu-west-1: b}");
    let of_all = |more: &str| format!("{more}\n{bare}");
    for (old, new, expected) in [
        (
            of_target(", project: a"),
            bare.clone(),
            Some("targets.a.project"),
        ),
        (of_target(", project: a"), by_region.clone(), None),
        // In eu-west-1, another project would apply.
        (
            by_region.clone(),
            of_all("project: a"),
            Some("targets.a.project"),
        ),
        (
            by_region,
            of_all("project: {us-east-1: a, eu-west-1: b}"),
            None,
        ),
        (of_all("project: a"), bare.clone(), Some("project")),
        (
            of_caller("project: a"),
            of_caller(""),
            Some("callers.x.y.project"),
        ),
        (of_caller("project: a"), of_caller("project: b"), None),
        // Without any list, requests may not name a project.
        (of_caller("projects: [a]"), of_caller(""), None),
        (
            of_caller("projects: [a]") + "project: b\nprojects: ['*']\n",
            of_caller("") + "project: b\nprojects: ['*']\n",
            Some("callers.x.y.projects"),
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(lost(&old, &new), expected, "{old}{new}");
    }
}

#[test]
fn a_caller_is_not_taken_for_another_whose_name_continues() {
    let with = |callers: &str| format!("{}callers: {{{callers}}}\n", of_target(""));
    let limited = "limits: {open_streams: 1}, methods: [Invoke], groups: [g.limits]";
    let groups = "groups: {g.limits: {service_tiers: [flex]}}\n";
    let both = with(&format!(
        "x: {{}}, x.y: {{{limited}}}, x.limits: {{{limited}}}"
    ));
    assert_eq!(lost(&format!("{both}{groups}"), &with("x: {}")), [""; 0]);
    let free = format!("{}{groups}", with("x: {}, x.y: {}, x.limits: {}"));
    let expected: Vec<_> = ["x.limits", "x.y"]
        .iter()
        .flat_map(|name| {
            ["methods", "limits.open_streams", "groups[g.limits]"]
                .map(|key| format!("callers.{name}.{key}"))
        })
        .collect();
    assert_eq!(lost(&format!("{both}{groups}"), &free), expected);
}

#[test]
fn metadata_for_cost_reports_does_not_disappear() {
    let bare = of_target("");
    let all = |pairs: &str| format!("request_metadata: {{{pairs}}}\n{bare}");
    assert_eq!(
        lost(&all("set: {team: a, a.b: c}"), &all("set: {team: b}")),
        ["request_metadata[a.b]"]
    );
    assert_eq!(
        lost(&all("from_headers: {team: x-team}"), &bare),
        ["request_metadata.from_headers[team]"]
    );
    // A fixed value replaces that of a header. The reverse would let callers choose the value.
    assert_eq!(
        lost(&all("from_headers: {team: x-team}"), &all("set: {team: a}")),
        [""; 0]
    );
    let header = all("from_headers: {team: x-team}");
    assert_eq!(
        lost(&all("set: {team: a}"), &header),
        ["request_metadata[team]"]
    );
    let target = of_target(", request_metadata: {team: a}");
    for new in [&bare, &header] {
        assert_eq!(lost(&target, new), ["targets.a.request_metadata[team]"]);
    }
    assert_eq!(lost(&target, &all("set: {team: a}")), [""; 0]);
    for section in ["callers", "groups"] {
        let member = match section {
            "groups" => "callers: {c: {groups: [x.y]}}\n",
            _ => "",
        };
        let with = |pairs: &str| {
            format!("{bare}{member}{section}: {{x.y: {{request_metadata: {{{pairs}}}}}}}\n")
        };
        let key = format!("{section}.x.y.request_metadata[a.b]");
        assert_eq!(lost(&with("a.b: c, d: e"), &with("d: e")), [key.as_str()]);
        let header = format!(
            "request_metadata: {{from_headers: {{a.b: x-team}}}}\n{}",
            with("d: e")
        );
        assert_eq!(lost(&with("a.b: c, d: e"), &header), [key]);
    }
}

#[test]
fn what_revocation_and_tokens_restrict_does_not_disappear() {
    let bare = format!("{}callers: {{x: {{}}}}\n", of_target(""));
    let cut = |word: &str| format!("access: {{on_revoke: {word}}}\n{bare}");
    assert_eq!(lost(&cut("cut"), &cut("finish")), ["access.on_revoke"]);
    assert_eq!(lost(&cut("cut"), &bare), ["access.on_revoke"]);
    assert_eq!(lost(&cut("finish"), &bare), [""; 0]);
    let groups = "groups: {g: {methods: [Invoke]}, free: {}}\n";
    let issuer = |more: &str| {
        format!(
            "{bare}{groups}access: {{jwt: [{{issuer: 'https://a.example/x.y', audiences: [b]{more}}}]}}\n"
        )
    };
    let of_issuer = |key: &str| format!("access.jwt[https://a.example/x.y].{key}");
    for (more, key) in [
        (", caller_prefix: 'a/'", "caller_prefix"),
        (", groups_claim: groups", "groups_claim"),
    ] {
        assert_eq!(lost(&issuer(more), &issuer("")), [of_issuer(key)]);
        let none = format!("{bare}{groups}access: {{required: true}}\n");
        assert_eq!(lost(&issuer(more), &none), [""; 0]);
    }
    let unlisted = |groups: &str| issuer(&format!(", unlisted: {{groups: [{groups}]}}"));
    assert_eq!(
        lost(&unlisted("g, free"), &unlisted("")),
        [of_issuer("unlisted.groups[g]")]
    );
    assert_eq!(lost(&unlisted("g"), &issuer("")), [""; 0]);
}

#[test]
fn a_restriction_can_be_moved_to_a_place_that_covers_its_calls() {
    let config = |all: &str, target: &str, group: &str, caller: &str| {
        format!(
            "{all}\n{}groups: {{g: {{{group}}}}}\ncallers: {{x: {{groups: [g]}}, y: {{{caller}}}}}\n",
            of_target(target)
        )
    };
    let own = "groups: [g], service_tiers: [flex]";
    let tiers = "service_tiers: [flex]";
    let in_target = ", service_tiers: [flex]";
    let for_all = config(tiers, "", "", "groups: [g]");
    for old in [
        config("", in_target, "", "groups: [g]"),
        config("", "", tiers, "groups: [g]"),
        config("", "", "", own),
    ] {
        assert_eq!(lost(&old, &for_all), [""; 0], "{old}");
    }
    // A caller's restriction can move to a group of the caller, but not to another group.
    assert_eq!(
        lost(
            &config("", "", "", own),
            &config("", "", tiers, "groups: [g]")
        ),
        [""; 0]
    );
    assert_eq!(
        lost(&config("", "", "", tiers), &config("", "", tiers, "")),
        ["callers.y.service_tiers"]
    );
    // If the caller is in another group with such a list, the lists of the groups are combined.
    let in_both = |own: &str, group: &str| {
        format!(
            "{}groups: {{g: {{{group}}}, h: {{service_tiers: [flex, priority]}}}}\n\
             callers: {{y: {{groups: [g, h]{own}}}}}\n",
            of_target("")
        )
    };
    assert_eq!(
        lost(&in_both(", service_tiers: [flex]", ""), &in_both("", tiers)),
        ["callers.y.service_tiers"]
    );
    // A group's restriction can move only to all of its callers. Here, `x` does not get it.
    assert_eq!(
        lost(
            &config("", "", tiers, "groups: [g]"),
            &config("", "", "", own)
        ),
        ["groups.g.service_tiers", "callers.x.groups[g]"]
    );
    let alone = |group: &str, caller: &str| {
        format!(
            "{}groups: {{g: {{{group}}}}}\ncallers: {{y: {{{caller}}}}}\n",
            of_target("")
        )
    };
    assert_eq!(lost(&alone(tiers, "groups: [g]"), &alone("", own)), [""; 0]);
    assert_eq!(
        lost(&alone(tiers, "groups: [g]"), &alone(tiers, tiers)),
        [""; 0]
    );
    // A restriction that an outer level repeats can be removed.
    let both = config(tiers, in_target, "", "groups: [g]");
    assert_eq!(lost(&both, &for_all), [""; 0]);
    let narrower = config("service_tiers: [flex, priority]", in_target, "", "");
    let outer = config("service_tiers: [flex, priority]", "", "", "");
    assert_eq!(lost(&narrower, &outer), ["targets.a.service_tiers"]);
    // A fence of one target does not cover the others.
    let only = |all: &str, target: &str| format!("{all}{}", of_target(target));
    assert_eq!(
        lost(&only("only: [us]\n", ""), &only("", ", only: [us]")),
        ["only"]
    );
    assert_eq!(
        lost(&only("", ", only: [us]"), &only("only: [us]\n", "")),
        [""; 0]
    );
}

#[test]
fn a_key_has_one_meaning() {
    let text = format!(
        "{}request_metadata: {{set: {{a.b: c}}}}\naccess: {{on_revoke: cut, jwt: [{{issuer: 'https://a/b.c', \
         audiences: [b], caller_prefix: p, unlisted: {{groups: [limits.g]}}}}]}}\n\
         accounts: {{a-b: {{role_arn: 'arn:aws:iam::123456789012:role/x', session_per_caller: true, session_tags: {{t.u: v}}}}}}\n\
         groups: {{other: {{methods: [Invoke]}}, same: {{methods: [Invoke]}}, limits.g: {{service_tiers: [flex], limits: {{max_tokens: 1, open_streams: 2, requests_per_minute: 1, \
         tokens_per_minute: 3, input_tokens_per_minute: 1, output_tokens_per_minute: 1}}}}}}\n\
         callers: {{c.groups: {{groups: [limits.g, other, same], methods: [Invoke], targets: [a], session_tags: {{t.u: v}}, \
         role_arn: 'arn:aws:iam::123456789012:role/x', {ENFORCED}, request_metadata: {{methods: x}}}}}}\n",
        of_target(", only: [us], request_metadata: {d: e}")
    );
    let config = config(&text);
    let keys = protected(&config);
    assert!(keys.len() > 20, "{keys:?}");
    for key in keys {
        assert_eq!(ProtectedKey::parse(&key.to_string()), key);
    }
}

#[test]
fn the_targets_do_not_disappear_together() {
    let two =
        "targets: {a: {model_id: amazon.nova-lite-v1:0}, b: {model_id: amazon.nova-pro-v1:0}}\n";
    assert_eq!(lost(two, &of_target("")), [""; 0]);
    for none in ["workers: 2\n", "allowed_model_ids: ['*']\n"] {
        let weaker = weakened(&config(two), &config(none));
        let expected = ("targets".to_owned(), "no target is left".to_owned());
        assert_eq!(weaker, [expected]);
        let allowed = format!("allow_weaker: true\n{none}");
        assert_eq!(lost(two, &allowed), [""; 0]);
    }
    // The list of a caller has the same name, but new targets do not replace it.
    let caller = |targets: &str| format!("callers: {{x: {{{targets}}}}}\n");
    let old = format!(
        "allowed_model_ids: ['*']\n{}",
        caller("allowed_model_ids: ['*'], targets: []")
    );
    let added = format!(
        "allowed_model_ids: ['*']\n{two}{}",
        caller("allowed_model_ids: ['*']")
    );
    assert_eq!(lost(&old, &added), ["callers.x.targets"]);
}

#[test]
fn a_target_keeps_an_account() {
    let accounts = "accounts: {one: {role_arn: 'arn:aws:iam::111122223333:role/x'}, \
                    two: {role_arn: 'arn:aws:iam::444455556666:role/x'}}\n";
    let target = |routes: &str| format!("{accounts}targets: {{a: {{{routes}}}}}\n");
    let with = |more: &str| target(&format!("model_id: amazon.nova-lite-v1:0{more}"));
    let (one, two, own) = (with(", account: one"), with(", accounts: [two]"), with(""));
    assert_eq!(lost(&one, &two), [""; 0]);
    assert_eq!(lost(&own, &one), [""; 0]);
    assert_eq!(lost(&one, &own), ["targets.a.account"]);
    let mixed = target(
        "routes: [{model_id: amazon.nova-lite-v1:0, account: one}, {model_id: amazon.nova-pro-v1:0}]",
    );
    assert_eq!(lost(&one, &mixed), ["targets.a.account"]);
    assert_eq!(lost(&mixed, &own), [""; 0]);
    let arn = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abcdefghijkl";
    assert_eq!(lost(&one, &target(&format!("model_id: '{arn}'"))), [""; 0]);
    let other = format!("{accounts}targets: {{b: {{model_id: amazon.nova-lite-v1:0}}}}\n");
    assert_eq!(lost(&one, &other), [""; 0]);
}

#[test]
fn one_of_several_equal_groups_is_enough() {
    let with = |groups: &str, restrictions: &str| {
        format!(
            "{}groups: {{{restrictions}}}\ncallers: {{x: {{groups: [{groups}]}}, z: {{groups: [g, h, i]}}}}\n",
            of_target("")
        )
    };
    let flex = "service_tiers: [flex], limits: {open_streams: 5}";
    let equal = format!("g: {{{flex}}}, h: {{description: H, {flex}}}, i: {{}}");
    let both = with("g, h", &equal);
    for groups in ["g", "h", "h, i", "g, h"] {
        assert_eq!(lost(&both, &with(groups, &equal)), [""; 0], "{groups}");
        assert_eq!(lost(&with(groups, &equal), &both), [""; 0], "{groups}");
    }
    assert_eq!(lost(&with("g", &equal), &with("h", &equal)), [""; 0]);
    for groups in ["", "i"] {
        let weaker = weakened(&config(&both), &config(&with(groups, &equal)));
        let expected = (
            "callers.x.groups[g|h]".to_owned(),
            "the caller would lose the restrictions of the groups g and h".to_owned(),
        );
        assert_eq!(weaker, [expected]);
    }
    // If the restrictions differ, each group counts.
    let unequal = format!("g: {{{flex}}}, h: {{service_tiers: [flex]}}, i: {{}}");
    assert_eq!(
        lost(&with("g, h", &unequal), &with("h", &unequal)),
        ["callers.x.groups[g]"]
    );
}

#[test]
fn a_restriction_of_a_group_can_move_to_other_groups_of_its_callers() {
    let with = |groups: &str, x: &str, more: &str| {
        format!(
            "{}groups: {{{groups}}}\ncallers: {{x: {{groups: [{x}]}}}}\n{more}",
            of_target("")
        )
    };
    let (of_g, of_h) = (
        "g: {service_tiers: [flex]}, h: {}",
        "g: {}, h: {service_tiers: [flex]}",
    );
    let both = with(of_h, "g, h", "");
    assert_eq!(lost(&with(of_g, "g", ""), &both), [""; 0]);
    assert_eq!(lost(&with(of_g, "g", ""), &with(of_h, "h", "")), [""; 0]);
    assert_eq!(
        lost(&with(of_g, "g", ""), &with(of_h, "g", "")),
        ["groups.g.service_tiers", "callers.x.groups[g]"]
    );
    // Tokens can name the group, so not all of its callers are known.
    let claimed =
        "access: {jwt: [{issuer: 'https://a.example', audiences: [b], groups_claim: c}]}\n";
    assert_eq!(
        lost(&with(of_g, "g", claimed), &with(of_h, "g, h", claimed)),
        ["groups.g.service_tiers"]
    );
}

/// Returns a configuration with a target, two groups, and a caller in both of them.
fn in_two_groups(all: &str, target: &str, groups: [&str; 2], caller: &str) -> String {
    let [g, h] = groups;
    format!(
        "{all}\n{}groups: {{g: {{{g}}}, h: {{{h}}}}}\ncallers: {{x: {{groups: [g, h], {caller}}}}}\n",
        of_target(target)
    )
}

#[test]
fn a_moved_value_must_still_apply() {
    let guardrail = |version: &str| ENFORCED.replace("'1'", &format!("'{version}'"));
    let pair = |value: &str| format!("request_metadata: {{team: {value}}}");
    for (setting, one, other) in [
        ("project", "project: a".to_owned(), "project: b".to_owned()),
        ("guardrail", guardrail("1"), guardrail("2")),
        ("request_metadata[team]", pair("a"), pair("b")),
    ] {
        let of_caller = in_two_groups("", "", [&other, ""], &one);
        let key = format!("callers.x.{setting}");
        // The value of the first group takes precedence over that of the second one.
        let second = in_two_groups("", "", [&other, &one], "");
        assert_eq!(lost(&of_caller, &second), [key.as_str()]);
        let weaker = weakened(&config(&of_caller), &config(&second));
        assert!(
            weaker[0]
                .1
                .starts_with("another value would apply to calls of the caller"),
            "{weaker:?}"
        );
        let free = in_two_groups("", "", ["", ""], &one);
        assert_eq!(
            lost(&free, &in_two_groups("", "", ["", &one], "")),
            [""; 0],
            "{setting}"
        );
        // A group has precedence over a target.
        let of_target = in_two_groups("", &format!(", {one}"), [&other, ""], "");
        assert_eq!(lost(&of_caller, &of_target), [key.as_str()]);
        // A caller that leaves the first group gets the value of the second one.
        let both = in_two_groups("", "", [&one, &other], "");
        let left = both.replace("groups: [g, h]", "groups: [h]");
        assert_eq!(lost(&both, &left), ["callers.x.groups[g]"]);
        assert_eq!(
            lost(&both, &in_two_groups("", "", ["", &other], "")),
            [
                format!("groups.g.{setting}"),
                "callers.x.groups[g]".to_owned()
            ]
        );
    }
}

#[test]
fn a_value_that_another_level_repeats_can_be_removed() {
    for (value, stricter) in [
        ("project: a", None),
        (ENFORCED, None),
        ("request_metadata: {team: a}", None),
        (
            "service_tiers: [flex, priority]",
            Some("service_tiers: [flex]"),
        ),
        (
            "limits: {max_tokens: 100}",
            Some("limits: {max_tokens: 50}"),
        ),
        (
            "s3_locations: ['s3://bucket/']",
            Some("s3_locations: ['s3://bucket/a/']"),
        ),
        ("projects: ['a*']", Some("projects: [ab]")),
    ] {
        let of_all = match value {
            "request_metadata: {team: a}" => "request_metadata: {set: {team: a}}",
            value => value,
        };
        let target = format!(", {value}");
        let all = in_two_groups(of_all, "", ["", ""], "");
        for old in [
            in_two_groups(of_all, &target, ["", ""], ""),
            in_two_groups(of_all, "", [value, ""], ""),
            in_two_groups(of_all, "", ["", ""], value),
        ] {
            assert_eq!(lost(&old, &all), [""; 0], "{old}");
        }
        // A caller's value that its group repeats, and one that only the targets repeat: targets
        // can be added later. Without these two lists, calls on such a target could name nothing.
        let is_allowance = ["s3_locations", "projects"]
            .iter()
            .any(|key| value.starts_with(key));
        for (groups, kept) in [(["", value], true), (["", ""], is_allowance)] {
            let old = in_two_groups("", &target, groups, value);
            let new = in_two_groups("", &target, groups, "");
            assert_eq!(lost(&old, &new).is_empty(), kept, "{old}");
        }
        if let Some(stricter) = stricter {
            let old = in_two_groups(of_all, "", ["", ""], stricter);
            assert_eq!(lost(&old, &all).len(), 1, "{old}");
            let old = in_two_groups(of_all, "", [stricter, ""], "");
            assert_eq!(lost(&old, &all).len(), 2, "{old}");
        }
    }
    let fences = |all: &str, target: &str| format!("{all}\n{}", of_target(target));
    let all = fences("only: [us]", "");
    assert_eq!(lost(&fences("only: [us]", ", only: [us]"), &all), [""; 0]);
    assert_eq!(
        lost(
            &fences("only: [us, eu]", ", only: [us]"),
            &fences("only: [us, eu]", "")
        ),
        ["targets.a.only"]
    );
    // A list of a caller's group, where the caller's own list is as narrow.
    let lists = |group: &str, own: &str| in_two_groups("", "", [group, ""], own);
    for (group, own, lost_keys) in [
        ("methods: [Invoke, CountTokens]", "methods: [Invoke]", 0),
        ("methods: [Invoke]", "methods: [Invoke, CountTokens]", 2),
        ("targets: ['*']", "targets: [a]", 0),
    ] {
        let (old, new) = (lists(group, own), lists("", own));
        assert_eq!(lost(&old, &new).len(), lost_keys, "{group} {own}");
    }
}

#[test]
fn settings_of_callers_apply_to_targets_that_are_added_or_renamed() {
    let own = "methods: [Invoke], targets: ['*'], limits: {max_tokens: 100}, project: a, \
               service_tiers: [flex], request_metadata: {team: a}, ";
    let with = |target: &str, own: &str| {
        format!(
            "targets: {{{target}}}\ncallers: {{x: {{{own}service_accounts: [n/s]}}}}\n\
             access: {{kubernetes: {{audience: c}}}}\n"
        )
    };
    let model = "{model_id: amazon.nova-lite-v1:0}";
    let old = with(&format!("a: {model}"), &format!("{own}{ENFORCED}, "));
    let renamed = with(&format!("b: {model}"), "");
    for setting in [
        "methods",
        "targets",
        "limits.max_tokens",
        "project",
        "service_tiers",
        "request_metadata[team]",
        "guardrail",
    ] {
        let key = format!("callers.x.{setting}");
        assert!(lost(&old, &renamed).contains(&key), "{key}");
    }
    assert_eq!(lost(&old, &old.replace("a: {model", "b: {model")), [""; 0]);
    let (one, two) = (
        format!("a: {{model_id: amazon.nova-lite-v1:0, {ENFORCED}}}"),
        format!("b: {model}"),
    );
    let old = with(&one, &format!("{ENFORCED}, "));
    let added = with(&format!("{one}, {two}"), "");
    assert_eq!(lost(&old, &added), ["callers.x.guardrail"]);
}

#[test]
fn a_list_of_a_caller_narrows_the_groups_of_its_tokens() {
    let with = |own: &str, claim: &str| {
        format!(
            "{}groups: {{g: {{targets: [a], methods: [Invoke]}}, h: {{targets: ['*'], methods: [Invoke, CountTokens]}}}}\n\
             callers: {{x: {{groups: [g], {own}}}}}\n\
             access: {{jwt: [{{issuer: 'https://a.example', audiences: [b], {claim}}}]}}\n",
            of_target("")
        )
    };
    let own = "targets: [a], methods: [Invoke],";
    for (claim, expected) in [
        (
            "groups_claim: c",
            &["callers.x.methods", "callers.x.targets"][..],
        ),
        ("unlisted: {}", &[]),
    ] {
        let mut lost = lost(&with(own, claim), &with("", claim));
        lost.sort();
        assert_eq!(lost, expected, "{claim}");
    }
}

#[test]
fn tokens_can_put_a_caller_into_several_groups() {
    let with = |all: &str, groups: &str| {
        format!(
            "{all}\n{}groups: {{{groups}}}\naccess: {{jwt: [{{issuer: 'https://a.example', audiences: [b], \
             groups_claim: c, unlisted: {{}}}}]}}\n",
            of_target("")
        )
    };
    // A caller in both groups would get the project of the other one.
    let (old, new) = (
        with("project: a", "g: {project: a}, h: {project: b}"),
        with("project: a", "g: {}, h: {project: b}"),
    );
    assert_eq!(lost(&old, &new), ["groups.g.project"]);
    let (old, new) = (
        with("project: a", "g: {project: a}, h: {}"),
        with("project: a", "g: {}, h: {}"),
    );
    assert_eq!(lost(&old, &new), [""; 0]);
}

#[test]
fn an_api_key_keeps_an_expiry() {
    let hash = format!("ab{}", "0".repeat(62));
    let with = |callers: &str| {
        let callers = callers.replace("KEY", &format!("sha256: {hash}"));
        format!("{}callers: {{{callers}}}\n", of_target(""))
    };
    let old = with("x: {keys: [{KEY, not_after: 2027-01-31}]}, y: {}");
    let key = "callers.x.keys[ab000000].not_after";
    for (new, expected) in [
        ("x: {keys: [{KEY}]}, y: {}", Some(key)),
        ("x: {}, y: {keys: [{KEY}]}", Some(key)),
        ("y: {keys: [{KEY}]}", Some(key)),
        ("x: {keys: [{KEY, not_after: 2028-01-31}]}, y: {}", None),
        ("x: {}, y: {keys: [{KEY, not_after: 2027-01-31}]}", None),
        ("x: {}, y: {}", None),
    ] {
        let lost = lost(&old, &with(new));
        assert_eq!(lost, Vec::from_iter(expected), "{new}");
    }
}
