//! Implements pagination with `maxResults` and `nextToken`.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{
    super::{error::WireError, script::ApiError, uri},
    refusal::constraint,
};

/// The default number of items per page.
const PAGE: usize = 100;
/// The maximum number of items per page.
const MOST: usize = 1000;

/// Returns one page and, if there is a next page, its token. The token contains the ID of the last
/// item on this page.
pub(super) fn page<T>(
    query: &str,
    items: impl IntoIterator<Item = T>,
    id: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, Option<String>), WireError> {
    let size = match uri::query(query, "maxResults") {
        None => PAGE,
        Some(text) => match text.parse() {
            Ok(size @ 1..=MOST) => size,
            _ => {
                let rule = format!("Member must have value between 1 and {MOST}");
                return Err(constraint(&text, "maxResults", &rule));
            }
        },
    };
    let mut items = items.into_iter();
    if let Some(token) = uri::query(query, "nextToken") {
        let last = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap_or_default();
        if !items.any(|item| id(&item).as_bytes() == last) {
            return Err(ApiError::validation("The provided nextToken is invalid.").into());
        }
    }
    let page: Vec<T> = items.by_ref().take(size).collect();
    let next = match (page.last(), items.next()) {
        (Some(last), Some(_)) => Some(BASE64_URL_SAFE_NO_PAD.encode(id(last))),
        _ => None,
    };
    Ok((page, next))
}
