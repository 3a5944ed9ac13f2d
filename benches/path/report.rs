//! Prints the table, in the form of docs/performance.md.

use std::{
    io::{self, Write as _},
    time::Duration,
};

/// One row of the table. Cells that do not apply are empty.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: String,
    pub(crate) upstream: &'static str,
    pub(crate) gateway: String,
    /// The baseline that the gateway is compared with.
    pub(crate) reference: String,
    pub(crate) relation: String,
    pub(crate) goal: String,
    pub(crate) met: Option<bool>,
}

/// Prints all rows.
pub(crate) fn print(rows: &[Row], short: bool, took: Duration) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| scenario | what | transport to Bedrock | gateway | baseline | ratio | goal | met |\n|---|---|---|---|---|---|---|---|"
    )?;
    for row in rows {
        let met = match row.met {
            None => "",
            Some(true) => "yes",
            Some(false) => "**no**",
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {met} |",
            row.name, row.what, row.upstream, row.gateway, row.reference, row.relation, row.goal
        )?;
    }
    let form = if short {
        "the short form"
    } else {
        "the full form"
    };
    writeln!(out, "\n{form}, in {} s", took.as_secs())
}
