//! Remembers the kinds of the open objects and arrays of a JSON text, with one bit for each level.

/// The kinds of the open levels: 1 for an object, 0 for an array. Allocates only if there are more
/// than 128 levels.
#[derive(Default)]
pub(super) struct OpenLevels {
    /// One bit for each of the innermost levels. Bit 0 is the innermost level.
    bits: u128,
    count: u32,
    /// The levels outside of `bits`, 128 in each item.
    outer: Vec<u128>,
}

impl OpenLevels {
    pub(super) const fn innermost_is_object(&self) -> bool {
        self.bits & 1 == 1
    }

    pub(super) fn push(&mut self, is_object: bool) {
        if self.count > 0 && self.count.is_multiple_of(u128::BITS) {
            self.outer.push(std::mem::take(&mut self.bits));
        }
        self.bits = self.bits << 1 | u128::from(is_object);
        self.count += 1;
    }

    pub(super) fn pop(&mut self) {
        self.bits >>= 1;
        self.count = self.count.saturating_sub(1);
        if self.count > 0 && self.count.is_multiple_of(u128::BITS) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::OpenLevels;

    proptest! {
        #[test]
        fn open_levels_are_a_stack(steps in prop::collection::vec(prop::option::weighted(0.7, any::<bool>()), 0..900)) {
            let (mut open, mut expected) = (OpenLevels::default(), Vec::new());
            for step in steps {
                match step {
                    Some(is_object) => {
                        open.push(is_object);
                        expected.push(is_object);
                    }
                    None if expected.pop().is_some() => open.pop(),
                    None => {}
                }
                prop_assert_eq!(open.innermost_is_object(), expected.last() == Some(&true));
            }
        }
    }
}
