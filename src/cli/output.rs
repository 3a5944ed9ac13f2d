//! The only module that writes to standard output and standard error.
//!
//! Standard output contains only the answer. Everything else is written to standard error, where
//! write errors are ignored.
//!
//! Text for a terminal is escaped, because the text of a model can contain control sequences. Pipes
//! and files receive the text unchanged.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use super::exit::Exit;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const PROMPT: Style = AnsiColor::Green.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Standard output and standard error.
#[derive(Debug)]
pub struct Output {
    out_is_terminal: bool,
    err_is_terminal: bool,
    err_has_colours: bool,
}

impl Output {
    /// Returns the output streams of this process. Set the global colour choice first.
    pub fn of_process() -> Self {
        Self {
            out_is_terminal: io::stdout().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            err_has_colours: AutoStream::choice(&io::stderr()) != ColorChoice::Never,
        }
    }

    /// Writes a part of the answer immediately. Fails if standard output cannot be written.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        let text = printable(text, self.out_is_terminal);
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Writes bytes of the answer unchanged to a pipe or a file. Fails if standard output cannot be
    /// written.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        // To a terminal, the bytes are written as text with escaped control characters.
        if self.out_is_terminal {
            return self.text(&String::from_utf8_lossy(bytes));
        }
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Writes a line of the answer immediately. Fails if standard output cannot be written.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        self.text(&format!("{line}\n"))
    }

    /// Prints an error, which ends the command.
    pub fn error(&mut self, message: &str) {
        self.labelled(ERROR, "error:", message);
    }

    /// Returns the input if it is valid. If not, prints the error and returns the exit code.
    pub fn checked<T>(&mut self, input: Result<T, String>) -> Result<T, Exit> {
        input.map_err(|message| {
            self.error(&message);
            Exit::BadInput
        })
    }

    /// Returns the text that [`Output::error`] would print. Commands that serve write it to their
    /// log instead, because writing to standard error can block.
    pub fn error_text(&self, message: &str) -> String {
        let label = self.style(ERROR);
        let message = printable(message, self.err_is_terminal);
        format!("{label}error:{label:#} {message}\n")
    }

    /// Prints a warning.
    pub fn warning(&mut self, message: &str) {
        self.labelled(WARNING, "warning:", message);
    }

    /// Prints a line to standard error.
    pub fn note(&mut self, note: &str) {
        self.aside(&format!("{note}\n"));
    }

    /// Writes text immediately to standard error, such as the reasoning of a model.
    pub fn aside(&mut self, text: &str) {
        self.styled(DIM, text);
    }

    /// Prints the prompt for the next line of a conversation.
    pub fn prompt(&mut self) {
        self.styled(PROMPT, "> ");
    }

    fn labelled(&mut self, style: Style, label: &str, message: &str) {
        self.styled(style, label);
        self.styled(Style::new(), &format!(" {message}\n"));
    }

    /// Returns the style if standard error has colours, or else the empty style.
    fn style(&self, style: Style) -> Style {
        if self.err_has_colours {
            style
        } else {
            Style::new()
        }
    }

    fn styled(&mut self, style: Style, text: &str) {
        let text = printable(text, self.err_is_terminal);
        let style = self.style(style);
        let mut err = io::stderr().lock();
        let _ = write!(err, "{style}{text}{style:#}").and_then(|()| err.flush());
    }
}

/// Returns the text. For a terminal, control characters are escaped.
fn printable(text: &str, to_terminal: bool) -> Cow<'_, str> {
    let commands_terminal = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !to_terminal || !text.contains(commands_terminal) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if commands_terminal(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_terminal_is_not_commanded_by_text() {
        let text = "a\u{1b}[2J\u{9b}1m\r\u{7f}\tb\n";
        assert_eq!(printable(text, true), "a\\u{1b}[2J\\u{9b}1m\\r\\u{7f}\tb\n");
    }

    #[test]
    fn a_pipe_gets_the_bytes_as_they_are() {
        let text = "a\u{1b}[2J\r";
        assert_eq!(printable(text, false), text);
    }
}
