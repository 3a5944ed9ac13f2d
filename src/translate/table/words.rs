//! `words!` defines the names that Bedrock uses for the values of an enum.

/// An enum of the proto, with Bedrock's names for its values. The zero value (unspecified) has no
/// name.
pub(crate) trait Words:
    Copy + Default + PartialEq + TryFrom<i32> + Into<i32> + 'static
{
    /// The name of the enum in error messages.
    const NAME: &'static str;

    const WORDS: &'static [(&'static str, Self)];

    fn from_word(word: &str) -> Option<Self> {
        let known = Self::WORDS.iter().find(|(known, _)| *known == word);
        known.map(|(_, value)| *value)
    }

    fn word(self) -> Option<&'static str> {
        let known = Self::WORDS.iter().find(|(_, value)| *value == self);
        known.map(|(word, _)| *word)
    }
}

/// `words!(pb::Enum { "name" => Value, … })` defines Bedrock's names for the values of an enum.
macro_rules! words {
    ($enum:ident { $($word:literal => $value:ident),+ $(,)? }) => {
        impl $crate::translate::table::Words for $crate::pb::$enum {
            const NAME: &'static str = stringify!($enum);
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$value)),+];
        }
    };
}
pub(crate) use words;
