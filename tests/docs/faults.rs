//! `docs/emulator.md` lists every fault that the emulator can simulate. Its table is generated.

use std::fmt::Write as _;

use bedrock_emulator::Fault;

use super::page;

const HEAD: &str = "| fault | effect |\n|---|---|\n";

#[test]
fn faults_are_those_of_the_emulator() {
    let text = page::read("docs/emulator.md");
    let (before, rest) = text
        .split_once(HEAD)
        .unwrap_or_else(|| panic!("docs/emulator.md has no table of faults"));
    let end = rest
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('|'))
        .map(str::len)
        .sum();
    let (_, after) = rest.split_at(end);
    let mut table = HEAD.to_owned();
    for (name, about) in Fault::all() {
        let _ = writeln!(table, "| `{name}` | {} |", about.replace('|', "\\|"));
    }
    page::assert_generated("docs/emulator.md", &format!("{before}{table}{after}"));
}
