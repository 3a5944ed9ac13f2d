//! The forward proxies from the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use std::fmt;

use super::section::Section;

/// The proxies for requests to AWS. Of each variable, the upper-case name takes precedence over the
/// lower-case one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The proxy for `https://` endpoints: `HTTPS_PROXY`, then `ALL_PROXY`. Default: none.
    pub https: Option<ProxyUrl>,
    /// The proxy for `http://` endpoints: `HTTP_PROXY`, then `ALL_PROXY`. Default: none.
    pub http: Option<ProxyUrl>,
    /// The hosts that are called without a proxy, from `NO_PROXY`: names (which include their
    /// subdomains), addresses, networks such as `10.0.0.0/8`, or `*`, separated by commas. Loopback
    /// and link-local addresses are always called without a proxy.
    pub none_for: String,
}

/// The URL of a proxy. It may contain a password, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(String);

impl ProxyUrl {
    /// Returns the URL, including the user and the password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl(…)")
    }
}

/// Reads the proxies from the environment.
pub(super) fn read(section: &Section<'_>) -> Proxies {
    let first = |names: [&'static str; 2]| {
        names
            .into_iter()
            .find_map(|name| section.variable(name, proxy))
    };
    let all = first(["ALL_PROXY", "all_proxy"]);
    let https = first(["HTTPS_PROXY", "https_proxy"]);
    let http = first(["HTTP_PROXY", "http_proxy"]);
    let none_for = ["NO_PROXY", "no_proxy"]
        .into_iter()
        .find_map(|name| section.variable(name, |text| Ok(exceptions(text))));
    Proxies {
        https: https.or_else(|| all.clone()),
        http: http.or(all),
        none_for: none_for.unwrap_or_default(),
    }
}

/// Checks the URL of a proxy. The error does not contain the value, which may include a password.
fn proxy(text: &str) -> Result<ProxyUrl, String> {
    let text = text.trim();
    let hint = "write a URL such as http://proxy.example.com:3128, with http:// or https://";
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {}
        "socks4" | "socks4a" | "socks5" | "socks5h" => {
            return Err(format!("SOCKS proxies are not supported; {hint}"));
        }
        _ => return Err(format!("not the URL of a proxy; {hint}")),
    }
    let url = format!("{}://{rest}", scheme.to_ascii_lowercase());
    let uri: http::Uri = url.parse().map_err(|_| format!("not a URL; {hint}"))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(format!("has no host; {hint}"));
    }
    Ok(ProxyUrl(url))
}

/// Returns the list of `NO_PROXY` in one format: `*.example.com` becomes `.example.com`, and names
/// become lower-case.
fn exceptions(text: &str) -> String {
    let entries = text.split([',', ' ']).map(str::trim);
    let entries = entries.filter(|entry| !entry.is_empty()).map(|entry| {
        let entry = entry.to_ascii_lowercase();
        let entry = entry.trim_start_matches('[').trim_end_matches(']');
        match entry.strip_prefix('*') {
            Some(rest) if rest.starts_with('.') => rest.to_owned(),
            _ => entry.to_owned(),
        }
    });
    entries.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn parse(variables: &[(&str, &str)]) -> Result<super::Proxies, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::parse("", &environment)
            .map(|config| config.bedrock.proxies)
            .map_err(|problems| format!("{problems:?}"))
    }

    #[test]
    fn variables_count_in_both_spellings() {
        let proxies = parse(&[
            ("ALL_PROXY", "http://all:1"),
            ("https_proxy", "proxy.example.com:3128"),
            ("no_proxy", "*.Internal, 10.0.0.0/8 [::1]"),
        ])
        .unwrap();
        assert_eq!(
            proxies.https.unwrap().expose(),
            "http://proxy.example.com:3128"
        );
        assert_eq!(proxies.http.unwrap().expose(), "http://all:1");
        assert_eq!(proxies.none_for, ".internal,10.0.0.0/8,::1");
    }

    #[test]
    fn a_proxy_that_can_not_be_used_is_an_error_without_its_password() {
        for (url, why) in [
            ("socks5://user:canary@proxy:1080", "SOCKS"),
            ("ftp://user:canary@proxy", "http://"),
            ("http://user:canary@", "not a URL"),
            ("http://user:canary@a b", "not a URL"),
        ] {
            let problems = parse(&[("HTTPS_PROXY", url)]).unwrap_err();
            assert!(
                problems.contains("HTTPS_PROXY") && problems.contains(why),
                "{problems}"
            );
            assert!(!problems.contains("canary"), "{problems}");
        }
        let proxies = parse(&[("HTTPS_PROXY", "http://user:canary@proxy")]).unwrap();
        assert!(!format!("{proxies:?}").contains("canary"));
    }
}
