//! Parses the parameters of the query protocol, which are a form in the body of a request.

use crate::uri::percent_decode;

/// The decoded parameters of a request.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let decoded = |text: &str| percent_decode(&text.replace('+', " "));
        let pairs = text
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (decoded(key), decoded(value)));
        Self(pairs.collect())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    }

    /// Returns the tags: the members `Tags.member.N.Key` and `Tags.member.N.Value`.
    pub(super) fn tags(&self) -> Vec<(String, String)> {
        let tag = |number: usize| {
            let key = self.text(&format!("Tags.member.{number}.Key"))?;
            let value = self.text(&format!("Tags.member.{number}.Value"));
            Some((key, value.unwrap_or_default()))
        };
        (1..).map_while(tag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_tags() {
        let form = Form::parse(
            b"Action=AssumeRole&RoleSessionName=a%40b&Tags.member.1.Key=team&Tags.member.1.Value=a+b&Tags.member.2.Key=x",
        );
        assert_eq!(form.text("RoleSessionName").as_deref(), Some("a@b"));
        assert_eq!(form.text("Missing"), None);
        let tags = [("team", "a b"), ("x", "")];
        assert_eq!(form.tags(), tags.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
