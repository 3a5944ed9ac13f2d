//! Finds the raw members of a request that provide a required field.

use crate::pb;

/// The JSON Pointers of the raw members in a request.
pub(super) struct RawPointers {
    /// The pointers, sorted.
    pointers: Vec<String>,
    /// The same pointers without their last step, sorted.
    parents: Vec<String>,
}

impl RawPointers {
    pub(super) const fn new() -> Self {
        Self {
            pointers: Vec::new(),
            parents: Vec::new(),
        }
    }

    pub(super) fn of(members: &[pb::RawMember]) -> Self {
        let mut pointers: Vec<_> = members
            .iter()
            .map(|member| member.pointer.clone())
            .collect();
        pointers.sort_unstable();
        let mut parents: Vec<_> = pointers
            .iter()
            .filter_map(|pointer| pointer.rsplit_once('/'))
            .map(|(parent, _)| parent.to_owned())
            .collect();
        parents.sort_unstable();
        Self { pointers, parents }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.pointers.is_empty()
    }

    /// Returns whether the pointer of a raw member is `place`, or is below it.
    pub(super) fn has_at_or_below(&self, place: &str) -> bool {
        let below = format!("{place}/");
        let first_below = self.pointers.partition_point(|pointer| *pointer < below);
        let is_below = self
            .pointers
            .get(first_below)
            .is_some_and(|pointer| pointer.starts_with(&below));
        is_below || has(&self.pointers, place)
    }

    /// Returns whether the pointer of a raw member is `place`, which is a list, or an item of this
    /// list.
    pub(super) fn has_list_or_item(&self, place: &str) -> bool {
        has(&self.pointers, place) || has(&self.parents, place)
    }
}

fn has(sorted: &[String], place: &str) -> bool {
    let found = sorted.binary_search_by(|pointer| pointer.as_str().cmp(place));
    found.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_at_and_above_a_pointer() {
        let members = ["/a/10", "/a/1/b", "/a-b", "/c", "/a!"].map(|pointer| pb::RawMember {
            pointer: pointer.to_owned(),
            json: String::new(),
        });
        let pointers = RawPointers::of(&members);
        for place in ["/a", "/a/1", "/a/1/b", "/a/10", "/a-b", "/c", ""] {
            assert!(pointers.has_at_or_below(place), "{place}");
        }
        for place in ["/a/1/b/c", "/a/2", "/b", "/c/d", "/a/100", "/a-"] {
            assert!(!pointers.has_at_or_below(place), "{place}");
        }
        assert!(!RawPointers::new().has_at_or_below(""));
        for list in ["/a", "/a/1", "/a/10", "/c"] {
            assert!(pointers.has_list_or_item(list), "{list}");
        }
        for list in ["/b", "/a/1/c", "/a/2"] {
            assert!(!pointers.has_list_or_item(list), "{list}");
        }
    }
}
