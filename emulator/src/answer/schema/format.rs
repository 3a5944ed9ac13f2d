//! Handles strings with a `format`: generates examples, and checks whether a text has the format.

/// Returns an example of a format. `None` if the format is not supported.
pub(super) fn of_format(format: &str, index: usize) -> Option<String> {
    let day = index % 28 + 1;
    Some(match format {
        "date" => format!("2026-01-{day:02}"),
        "date-time" => format!("2026-01-{day:02}T09:30:00Z"),
        "time" => format!("09:{:02}:00Z", index % 60),
        "duration" => format!("PT{}H", index + 1),
        "email" | "idn-email" => match index {
            0 => "jane.doe@example.com".to_owned(),
            _ => format!("jane.doe{index}@example.com"),
        },
        "hostname" | "idn-hostname" => format!("host{index}.example.com"),
        "ipv4" => format!("192.0.2.{}", index % 254 + 1),
        "ipv6" => format!("2001:db8::{:x}", index % 0xffff + 1),
        "uri" | "url" | "iri" => match index {
            0 => "https://example.com/".to_owned(),
            _ => format!("https://example.com/{index}"),
        },
        "uri-reference" => format!("/path/{index}"),
        "uuid" => format!("00000000-0000-4000-8000-{index:012x}"),
        "json-pointer" => format!("/{index}"),
        "regex" => format!("^a{{{index}}}$"),
        _ => return None,
    })
}

/// Returns whether the text has the format. For a format that is not supported, returns true.
pub(super) fn fits_format(text: &str, format: &str) -> bool {
    let digits = |template: &str| {
        text.len() == template.len()
            && text.bytes().zip(template.bytes()).all(|(b, t)| match t {
                b'0' => b.is_ascii_digit(),
                b'x' => b.is_ascii_hexdigit(),
                t => b == t,
            })
    };
    match format {
        "date" => digits("0000-00-00"),
        "date-time" => text.get(..19).is_some_and(|start| {
            start.chars().enumerate().all(|(index, c)| match index {
                4 | 7 => c == '-',
                10 => c == 'T',
                13 | 16 => c == ':',
                _ => c.is_ascii_digit(),
            })
        }),
        "time" => text.get(..5).is_some_and(|start| {
            start
                .bytes()
                .enumerate()
                .all(|(i, b)| (i == 2 && b == b':') || b.is_ascii_digit())
        }),
        "email" | "idn-email" => text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && host.contains('.')),
        "uri" | "url" | "iri" => text.contains("://") && !text.contains(' '),
        "uuid" => digits("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "hostname" | "idn-hostname" => !text.is_empty() && !text.contains(' '),
        "duration" => text.starts_with('P') && text.len() > 2,
        _ => true,
    }
}
