//! The README lists every command of the binary.

use std::{collections::BTreeSet, process::Command};

use super::page;

#[test]
fn commands_are_those_of_the_binary() {
    let help = Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: BTreeSet<_> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        // A description may continue on the next line, which is indented further.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    let readme = page::read("README.md");
    let (_, table) = readme.split_once("| command | what it does |").unwrap();
    let documented: BTreeSet<_> = table
        .trim_start()
        .lines()
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('`').nth(1))
        .collect();
    assert_eq!(documented, commands, "the table of commands in README.md");
}
