//! Reads open enums: enums with a second field for the names of values that this version does not
//! define.

use super::table::Words;

/// Returns the value of an enum whose second field is `name`. Unspecified is a value, too. `None`
/// if this version does not define the value.
pub(crate) fn value<E: Words>(number: i32, name: &str) -> Option<E> {
    if name.is_empty() {
        E::try_from(number).ok()
    } else {
        E::from_word(name)
    }
}

/// Returns Bedrock's name for the value of an enum whose second field is `name`. `None` if it is
/// unspecified.
pub(crate) fn word<E: Words>(number: i32, name: &str) -> Option<&str> {
    if name.is_empty() {
        E::try_from(number).ok().and_then(E::word)
    } else {
        Some(name)
    }
}

/// Returns the two fields of an enum for one of Bedrock's names.
pub(crate) fn fields<E: Words>(word: &str) -> (i32, String) {
    match E::from_word(word) {
        Some(value) => (value.into(), String::new()),
        None => (0, word.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::ServiceTierType;

    #[test]
    fn names_and_numbers() {
        let flex = i32::from(ServiceTierType::Flex);
        let cases = [
            (flex, "", Some(ServiceTierType::Flex), Some("flex")),
            (0, "flex", Some(ServiceTierType::Flex), Some("flex")),
            (0, "turbo", None, Some("turbo")),
            (0, "", Some(ServiceTierType::Unspecified), None),
            (99, "", None, None),
        ];
        for (number, name, known, named) in cases {
            assert_eq!(value(number, name), known, "{number} {name}");
            assert_eq!(
                word::<ServiceTierType>(number, name),
                named,
                "{number} {name}"
            );
        }
        assert_eq!(fields::<ServiceTierType>("flex"), (flex, String::new()));
        assert_eq!(fields::<ServiceTierType>("turbo"), (0, "turbo".to_owned()));
    }
}
