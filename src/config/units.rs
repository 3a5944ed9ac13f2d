//! Parses single values, such as durations, sizes and addresses. Every error says what to write
//! instead.

use std::{net::SocketAddr, time::Duration};

/// Parses `250ms`, `30s`, `10m`, `2h` or `0`. Numbers other than 0 need a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "`{text}` is not a duration; write a number with a unit, such as 250ms, 30s, 10m or 2h"
        )
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..unit_at].parse().map_err(|_| wrong())?;
    let milliseconds_per_unit = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(milliseconds_per_unit)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// Parses `512B`, `256KiB`, `32MiB`, `1GiB`, or a size in `KB`, `MB` or `GB` (powers of 1,000).
pub(super) fn size(text: &str) -> Result<usize, String> {
    let wrong =
        || format!("`{text}` is not a size; write a number with a unit, such as 256KiB or 32MiB");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: usize = text[..unit_at].parse().map_err(|_| wrong())?;
    let bytes_per_unit = match &text[unit_at..] {
        "B" => 1,
        "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(bytes_per_unit).ok_or_else(wrong)
}

/// Parses a size that is not less than another one, such as `1KB`.
pub(super) fn size_from(text: &str, least: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    if bytes < size(least)? {
        return Err(format!("must be at least {least}, got {text}"));
    }
    Ok(bytes)
}

/// Parses `127.0.0.1:50051`, `[::]:50051`, or `:50051` for all addresses.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') {
        format!("0.0.0.0{text}")
    } else {
        text.to_owned()
    };
    full.parse().map_err(|_| {
        format!("`{text}` is not an address; write IP:PORT, such as 127.0.0.1:50051, or :50051 for all addresses")
    })
}

/// Parses an integer within bounds.
pub(super) fn number<T>(text: &str, at_least: T, at_most: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    text.parse()
        .ok()
        .filter(|n| *n >= at_least && *n <= at_most)
        .ok_or_else(|| format!("`{text}` is not a whole number from {at_least} to {at_most}"))
}

/// Returns the text, which must not be blank.
pub(super) fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses one of `words`.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("`{text}` is not one of: {}", names.join(", "))
        })
}

/// Parses a duration that is longer than 0.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err("must be longer than 0".to_owned());
    }
    Ok(duration)
}

/// Parses `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is neither true nor false"))
}

/// Parses a number from 0 to 1.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| format!("`{text}` is not a number from 0 to 1"))
}

/// Parses a Region, such as `us-east-1`.
pub(super) fn region(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let is_region = parts.len() >= 3
        && parts.iter().all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
        && parts
            .last()
            .is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    if is_region {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is not an AWS Region; write one such as us-east-1"
    ))
}
