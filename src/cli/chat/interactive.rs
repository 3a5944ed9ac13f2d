//! The interactive prompt: reads lines, and runs the command or asks the question in each of them.

use std::{io, thread};

use tokio::sync::mpsc;

use super::{session::Session, summary, turn};
use crate::{
    cli::{exit::Exit, output::Output},
    pb::TokenUsage,
};

const HELP: &str = "\
/help            this list
/reset           clear the conversation
/system TEXT     set the system prompt; without TEXT: remove it
/target NAME     call this target from now on
/usage           show the tokens of this session
/quit            quit, like Ctrl-D and Ctrl-C at the prompt
End a line with \\ to continue it. To send a line that begins with a slash, put a space before it. Ctrl-C ends an answer.";

/// Reads and answers lines until the user leaves. If `prompt` is not empty, it is answered first.
///
/// Fails if standard output cannot be written.
pub(super) async fn run(
    session: &mut Session,
    prompt: String,
    output: &mut Output,
) -> io::Result<Exit> {
    let mut lines = stdin_lines()?;
    let mut used = Used::default();
    if !prompt.is_empty() {
        answer(session, &prompt, &mut used, output).await?;
    }
    loop {
        output.prompt();
        let line = tokio::select! {
            line = next_entry(&mut lines) => line,
            () = session.interrupts.pressed() => None,
        };
        let Some(line) = line else {
            output.note("");
            return Ok(Exit::Success);
        };
        match Entry::parse(&line) {
            Entry::Nothing => {}
            Entry::Say(text) => answer(session, text, &mut used, output).await?,
            Entry::Quit => return Ok(Exit::Success),
            Entry::Help => output.note(HELP),
            Entry::Usage => output.note(&used.to_string()),
            Entry::Reset => {
                session.conversation.reset();
                output.note("conversation cleared");
            }
            Entry::System(text) => {
                session.conversation.set_system(text);
                output.note(match text {
                    "" => "system prompt removed",
                    _ => "system prompt set",
                });
            }
            Entry::Target("") => output.warning("/target requires a name, such as /target claude"),
            Entry::Target(name) => {
                session.conversation.set_target(name);
                output.note(&format!("the next questions are sent to {name}"));
            }
            Entry::Unknown(command) => {
                output.warning(&format!(
                    "{command} is not a command; /help lists all commands. To send this text, put a space before the slash"
                ));
            }
        }
    }
}

async fn answer(
    session: &mut Session,
    question: &str,
    used: &mut Used,
    output: &mut Output,
) -> io::Result<()> {
    let (_, summary) = turn::take(session, question, output).await?;
    used.add(summary.usage());
    Ok(())
}

/// What a line at the prompt means.
#[derive(Debug, PartialEq, Eq)]
enum Entry<'a> {
    Nothing,
    Say(&'a str),
    Quit,
    Help,
    Usage,
    Reset,
    System(&'a str),
    Target(&'a str),
    Unknown(&'a str),
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Self {
        let text = line.trim();
        if text.is_empty() {
            return Self::Nothing;
        }
        if !line.starts_with('/') {
            return Self::Say(text);
        }
        let (command, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        match command {
            "/quit" | "/exit" => Self::Quit,
            "/help" => Self::Help,
            "/usage" => Self::Usage,
            "/reset" => Self::Reset,
            "/system" => Self::System(rest),
            "/target" => Self::Target(rest),
            unknown => Self::Unknown(unknown),
        }
    }
}

/// The tokens that all turns of a session have used, as reported by Bedrock.
#[derive(Debug, Default)]
struct Used {
    turns: usize,
    turns_without_usage: usize,
    tokens: TokenUsage,
}

impl Used {
    fn add(&mut self, usage: Option<&TokenUsage>) {
        self.turns += 1;
        let Some(usage) = usage else {
            self.turns_without_usage += 1;
            return;
        };
        let sum = |total: &mut Option<i32>, more: Option<i32>| {
            if let Some(more) = more {
                *total = Some(total.unwrap_or(0).saturating_add(more));
            }
        };
        sum(&mut self.tokens.input_tokens, usage.input_tokens);
        sum(&mut self.tokens.output_tokens, usage.output_tokens);
        sum(
            &mut self.tokens.cache_read_input_tokens,
            usage.cache_read_input_tokens,
        );
        sum(
            &mut self.tokens.cache_write_input_tokens,
            usage.cache_write_input_tokens,
        );
    }
}

impl std::fmt::Display for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "turns: {}", self.turns)?;
        let tokens = summary::tokens(&self.tokens);
        if !tokens.is_empty() {
            write!(f, " · {tokens}")?;
        }
        if self.turns_without_usage > 0 {
            write!(
                f,
                " · turns without known usage: {}",
                self.turns_without_usage
            )?;
        }
        Ok(())
    }
}

/// Returns the next entry, which is a line and its continuation lines. `None` at the end of
/// standard input.
async fn next_entry(lines: &mut mpsc::UnboundedReceiver<String>) -> Option<String> {
    let mut entry = lines.recv().await?;
    while entry.ends_with('\\') {
        entry.pop();
        entry.push('\n');
        match lines.recv().await {
            Some(line) => entry.push_str(&line),
            None => break,
        }
    }
    Some(entry)
}

/// Returns the lines of standard input. A separate thread reads them: a read cannot be cancelled,
/// and it must not delay the end of the process.
fn stdin_lines() -> io::Result<mpsc::UnboundedReceiver<String>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let lines = io::stdin().lines();
            // Invalid UTF-8 ends the conversation, like the end of the input.
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        })?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_or_said() {
        let cases = [
            ("", Entry::Nothing),
            ("  hello ", Entry::Say("hello")),
            ("/quit", Entry::Quit),
            ("/system  Be brief. ", Entry::System("Be brief.")),
            ("/system", Entry::System("")),
            ("/target us.m", Entry::Target("us.m")),
            (" /etc/hosts?", Entry::Say("/etc/hosts?")),
            ("/etc/hosts?", Entry::Unknown("/etc/hosts?")),
        ];
        for (line, entry) in cases {
            assert_eq!(Entry::parse(line), entry, "{line}");
        }
    }

    #[tokio::test]
    async fn a_backslash_continues_on_the_next_line() {
        let (sender, mut lines) = mpsc::unbounded_channel();
        for line in ["one\\", "two", "three"] {
            sender.send(line.to_owned()).unwrap();
        }
        drop(sender);
        assert_eq!(next_entry(&mut lines).await.as_deref(), Some("one\ntwo"));
        assert_eq!(next_entry(&mut lines).await.as_deref(), Some("three"));
        assert_eq!(next_entry(&mut lines).await, None);
    }
}
