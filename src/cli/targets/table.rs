//! Formats targets as a table.

use super::facts::{health, kind, unavailable_for};
use crate::pb::{Route, Target};

const HEAD: [&str; 7] = [
    "TARGET",
    "MODEL ID",
    "KIND",
    "SOURCE",
    "DESTINATIONS",
    "STATUS",
    "HEALTH",
];

/// Formats one line per route. The first line of each target contains the target's name.
pub(super) fn of(targets: &[Target]) -> String {
    let rows: Vec<_> = targets.iter().flat_map(rows).collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = HEAD.map(str::to_owned);
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let cells = std::iter::once(&head).chain(&rows);
            cells
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    std::iter::once(&head)
        .chain(&rows)
        .map(|row| {
            let cells: Vec<_> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            format!("{}\n", cells.join("  ").trim_end())
        })
        .collect()
}

fn rows(target: &Target) -> Vec<[String; 7]> {
    let mut name = target.name.clone();
    let rows = target.routes.iter().map(|route| {
        [
            std::mem::take(&mut name),
            route.model_id.clone(),
            kind(route).to_lowercase().replace('_', " "),
            source(route),
            destinations(route),
            or_dash(&route.status),
            state(route),
        ]
    });
    rows.collect()
}

fn source(route: &Route) -> String {
    if route.account.is_empty() {
        route.source_region.clone()
    } else {
        format!("{} of {}", route.source_region, route.account)
    }
}

fn destinations(route: &Route) -> String {
    if route.served_anywhere {
        "anywhere".to_owned()
    } else {
        or_dash(&route.destination_regions.join(" "))
    }
}

fn state(route: &Route) -> String {
    let mut state = health(route).to_owned();
    if let Some(time) = unavailable_for(route) {
        state.push_str(&format!(" for {:.1} s", time.as_secs_f32()));
    }
    if route.outside_fence {
        state.push_str(", outside of `only`");
    }
    if route.open_calls > 0 {
        state.push_str(&format!(", {} open", route.open_calls));
    }
    state
}

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text.to_owned()
    }
}
