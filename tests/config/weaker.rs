//! Random changes of a configuration: a reload accepts those that leave every call's settings as
//! they are, and refuses those that weaken the settings of any call. The settings of a call are
//! those that the gateway itself computes.

use std::collections::{BTreeMap, BTreeSet};

use bedrock_grpc::{
    access::Permission,
    config::{Config, RequestPolicy, weakened},
};
use proptest::{prelude::*, sample::Index};

use super::parse;

/// The places of settings: all targets, each target, each group and each caller.
const PLACES: [&str; 8] = [
    "",
    "targets.a",
    "targets.b",
    "groups.g",
    "groups.h",
    "groups.i",
    "callers.x",
    "callers.y",
];
/// The settings, each with two values. The second value of a list or a maximum is the wider one.
const SETTINGS: [(&str, [&str; 2]); 6] = [
    ("project", ["one", "two"]),
    (
        "guardrail",
        [
            "{identifier: gr-1234567890ab, version: '1', enforced: true}",
            "{identifier: gr-1234567890ab, version: '2', enforced: true}",
        ],
    ),
    ("limits", ["{max_tokens: 10}", "{max_tokens: 20}"]),
    ("service_tiers", ["[flex]", "[flex, priority]"]),
    ("methods", ["[Invoke]", "[Invoke, CountTokens]"]),
    ("request_metadata", ["{team: a}", "{team: b}"]),
];

/// A configuration: the values by place and setting, and the groups of the two callers.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    values: BTreeMap<(usize, usize), usize>,
    groups: [Vec<usize>; 2],
}

impl Plan {
    fn text(&self) -> String {
        let mut text = String::new();
        let of_place = |place: usize| {
            let values = self.values.iter();
            let values = values.filter(|((at, _), _)| *at == place);
            let values = values.map(|((_, setting), value)| {
                let (name, values) = SETTINGS[*setting];
                match (place, name) {
                    (0, "request_metadata") => format!("{name}: {{set: {}}}", values[*value]),
                    _ => format!("{name}: {}", values[*value]),
                }
            });
            values.collect::<Vec<_>>()
        };
        for line in of_place(0) {
            text.push_str(&format!("{line}\n"));
        }
        let mut section = "";
        for (place, path) in PLACES.iter().enumerate().skip(1) {
            let (own, name) = path.split_once('.').unwrap();
            if own != section {
                text.push_str(&format!("{own}:\n"));
                section = own;
            }
            let mut values = of_place(place);
            match own {
                "targets" => values.push("model_id: amazon.nova-lite-v1:0".to_owned()),
                "callers" => {
                    let groups = self.groups[place - 6].iter();
                    let groups: Vec<_> = groups.map(|group| ["g", "h", "i"][*group]).collect();
                    values.push(format!("groups: [{}]", groups.join(", ")));
                }
                _ => {}
            }
            text.push_str(&format!("  {name}: {{{}}}\n", values.join(", ")));
        }
        text
    }
}

/// The settings of a call, so that they can be compared.
#[derive(Debug, PartialEq)]
struct Call {
    policy: RequestPolicy,
    methods: BTreeSet<&'static str>,
    team: Option<String>,
}

/// Returns the settings of a caller's calls on a target. Without a caller, those of the target.
/// Without a target, those of calls on a target that is added later.
fn call(config: &Config, caller: Option<&str>, target: Option<&str>) -> Call {
    let options = caller.map(|caller| &config.access.callers[caller]);
    let groups = options.into_iter().flat_map(|options| &options.groups);
    let groups = groups.map(|group| &config.access.groups[group].permission);
    let permission = Permission::of(options.map(|own| &own.permission), groups);
    let alias = target.map(|target| &config.targets.aliases[target]);
    let of_all = &config.targets.policy;
    let of_target = alias.map_or_else(|| of_all.clone(), |alias| of_all.and(&alias.policy));
    let (permission, has_any) = match permission {
        Some(permission) => (permission, true),
        None => (Permission::default(), false),
    };
    let team = permission.request_metadata.get("team");
    let team = team.or_else(|| alias?.request_metadata.get("team"));
    let team = team.or_else(|| config.request_metadata.set.get("team"));
    Call {
        policy: match has_any {
            true => of_target.and(&permission.policy),
            false => of_target,
        },
        methods: permission.methods().iter().copied().collect(),
        team: team.cloned(),
    }
}

impl Call {
    /// Returns whether a request that `other` does not allow is allowed here, or is sent to Bedrock
    /// with other settings.
    fn is_weaker_than(&self, other: &Self) -> bool {
        let (own, old) = (&self.policy, &other.policy);
        let ceiling = |policy: &RequestPolicy| policy.max_tokens.unwrap_or(i32::MAX);
        let tiers = old.service_tiers.as_ref().is_some_and(|old| {
            let own = own.service_tiers.as_ref();
            own.is_none_or(|own| own.iter().any(|tier| !old.contains(tier)))
        });
        let guardrail = old.enforced_guardrail();
        tiers
            || ceiling(own) > ceiling(old)
            || old.project.is_some() && own.project != old.project
            || guardrail.is_some() && own.enforced_guardrail() != guardrail
            || !self.methods.is_subset(&other.methods)
            || other.team.is_some() && self.team != other.team
    }
}

/// Returns the settings of all calls: those of each caller on each target and on a target that is
/// added later, and the same without any caller.
fn calls(config: &Config) -> Vec<Call> {
    let callers = [Some("x"), Some("y"), None];
    let targets = [Some("a"), Some("b"), None];
    let of_caller = |caller| targets.map(|target| call(config, caller, target));
    callers.into_iter().flat_map(of_caller).collect()
}

fn plan() -> impl Strategy<Value = Plan> {
    let values = prop::collection::vec(prop::option::weighted(0.35, 0_usize..2), 48);
    let groups = || prop::sample::subsequence(vec![0_usize, 1, 2], 0..3).prop_shuffle();
    (values, groups(), groups()).prop_map(|(values, x, y)| Plan {
        values: values
            .into_iter()
            .enumerate()
            .filter_map(|(index, value)| Some(((index / 6, index % 6), value?)))
            // Callers have methods, but targets do not.
            .filter(|((place, setting), _)| !(*setting == 4 && *place < 3))
            .collect(),
        groups: [x, y],
    })
}

/// A removal of a value, or of a caller from a group.
fn removed(plan: &Plan, what: &[Index]) -> Plan {
    let mut plan = plan.clone();
    for index in what {
        let keys: Vec<_> = plan.values.keys().copied().collect();
        let members = plan.groups[0].len() + plan.groups[1].len();
        if keys.is_empty() && members == 0 {
            break;
        }
        let at = index.index(keys.len() + members);
        match keys.get(at) {
            Some(key) => {
                plan.values.remove(key);
            }
            None => {
                let at = at - keys.len();
                let first = plan.groups[0].len();
                match at < first {
                    true => plan.groups[0].remove(at),
                    false => plan.groups[1].remove(at - first),
                };
            }
        }
    }
    plan
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn a_removal_is_accepted_if_no_call_has_weaker_settings(
        plan in plan(),
        what in prop::collection::vec(any::<Index>(), 1..4),
    ) {
        let after = removed(&plan, &what);
        let (Ok(old), Ok(new)) = (parse(&plan.text()), parse(&after.text())) else {
            return Ok(());
        };
        let lost = weakened(&old, &new);
        let (before, later) = (calls(&old), calls(&new));
        let is_weaker = before.iter().zip(&later).any(|(old, new)| new.is_weaker_than(old));
        let context = format!("{}\n->\n{}\n{lost:?}", plan.text(), after.text());
        prop_assert!(!is_weaker || !lost.is_empty(), "accepted: {context}");
        // A value of all targets always counts, because targets can be added later.
        let of_all = |plan: &Plan| plan.values.keys().filter(|(place, _)| *place == 0).count();
        if of_all(&plan) == of_all(&after) {
            prop_assert!(is_weaker || lost.is_empty(), "refused: {context}");
        }
    }

    /// A value that moves to another place has the same effect for the calls to which it applied.
    #[test]
    fn a_move_is_accepted_only_if_the_value_still_applies(
        plan in plan(),
        what in any::<Index>(),
        to in 0_usize..8,
    ) {
        let keys: Vec<_> = plan.values.keys().copied().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let (from, setting) = keys[what.index(keys.len())];
        let is_taken = plan.values.contains_key(&(to, setting)) || setting == 4 && to < 3;
        if is_taken || from == 0 {
            return Ok(());
        }
        let mut after = plan.clone();
        let value = after.values.remove(&(from, setting)).unwrap();
        after.values.insert((to, setting), value);
        let (Ok(old), Ok(new)) = (parse(&plan.text()), parse(&after.text())) else {
            return Ok(());
        };
        let lost = weakened(&old, &new);
        // The calls to which the value applied before.
        let is_of = |caller: usize| match from {
            3..=5 => plan.groups[caller].contains(&(from - 3)),
            6.. => from - 6 == caller,
            _ => false,
        };
        let context = format!("{}\n->\n{}\n{lost:?}", plan.text(), after.text());
        for (index, name) in ["x", "y"].into_iter().enumerate().filter(|(index, _)| is_of(*index)) {
            for target in [Some("a"), Some("b"), None] {
                let (old, new) = (call(&old, Some(name), target), call(&new, Some(name), target));
                let is_weaker = new.is_weaker_than(&old);
                prop_assert!(!is_weaker || !lost.is_empty(), "{index}: accepted: {context}");
            }
        }
    }
}
