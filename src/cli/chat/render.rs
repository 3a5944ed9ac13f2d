//! Prints the events of an answer. The model's text is written to standard output, everything else
//! to standard error.

use std::{collections::BTreeMap, io};

use crate::{
    cli::output::Output,
    pb::{
        Citation, ContentBlockDeltaEvent, ContentBlockStartEvent, ContentBlockStopEvent,
        StopReason, citation_location::Location, content_block_delta_event::Delta,
        content_block_start_event::Start, reasoning_content_block_delta,
        stream_invoke_response::Event, tool_result_block_delta_content,
    },
};

/// Prints one answer.
#[derive(Debug)]
pub(super) struct Renderer {
    show_reasoning: bool,
    blocks: BTreeMap<i32, Block>,
    /// The cited sources. Their footnotes are numbered from 1, in the order of the first citations.
    footnotes: Vec<String>,
    /// Where the current line was begun: on standard output or standard error.
    open_line: OpenLine,
}

/// A content block that has begun.
#[derive(Debug, Default)]
struct Block {
    /// The name of a tool call, and the part of its input that has been received.
    tool_use: Option<(String, String)>,
    /// The numbers of the footnotes that the block cites.
    cited: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenLine {
    None,
    Answer,
    Aside,
}

impl Renderer {
    pub(super) fn new(show_reasoning: bool) -> Self {
        Self {
            show_reasoning,
            blocks: BTreeMap::new(),
            footnotes: Vec::new(),
            open_line: OpenLine::None,
        }
    }

    /// Prints an event immediately. Fails if standard output cannot be written.
    pub(super) fn show(&mut self, event: &Event, output: &mut Output) -> io::Result<()> {
        match event {
            Event::ContentBlockStart(start) => self.start(start, output),
            Event::ContentBlockDelta(delta) => self.delta(delta, output),
            Event::ContentBlockStop(stop) => self.stop(stop, output),
            Event::MessageStop(stop) if stop.stop_reason() == StopReason::ToolUse => {
                self.end_line(output)?;
                output.warning("the model waits for a tool's result, but chat runs no tools");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Ends the line and prints the footnotes. Fails if standard output cannot be written.
    pub(super) fn finish(&mut self, output: &mut Output) -> io::Result<()> {
        self.end_line(output)?;
        for (at, source) in self.footnotes.drain(..).enumerate() {
            if at == 0 {
                output.line("")?;
            }
            output.line(&format!("[{}] {source}", at + 1))?;
        }
        Ok(())
    }

    fn start(&mut self, event: &ContentBlockStartEvent, output: &mut Output) -> io::Result<()> {
        let block = self.blocks.entry(event.content_block_index).or_default();
        match &event.start {
            Some(Start::ToolUse(tool)) => {
                block.tool_use = Some((tool.name.clone(), String::new()));
            }
            Some(Start::ToolResult(_)) => self.aside("[tool result] ", output)?,
            Some(Start::Image(image)) => {
                self.end_line(output)?;
                output.note(&format!("[an image, {}: not shown]", image.format_name));
            }
            _ => {}
        }
        Ok(())
    }

    fn delta(&mut self, event: &ContentBlockDeltaEvent, output: &mut Output) -> io::Result<()> {
        let block = self.blocks.entry(event.content_block_index).or_default();
        match &event.delta {
            Some(Delta::Text(text)) => self.answer(text, output),
            Some(Delta::ToolUse(delta)) => {
                if let Some((_, input)) = &mut block.tool_use {
                    input.push_str(&delta.input);
                }
                Ok(())
            }
            Some(Delta::Citation(citation)) => {
                let source = describe(citation);
                let known = self.footnotes.iter().position(|known| *known == source);
                let number = known.map_or(self.footnotes.len(), |at| at) + 1;
                if known.is_none() {
                    self.footnotes.push(source);
                }
                if !block.cited.contains(&number) {
                    block.cited.push(number);
                }
                Ok(())
            }
            Some(Delta::ReasoningContent(delta)) if self.show_reasoning => match &delta.delta {
                Some(reasoning_content_block_delta::Delta::Text(text)) => self.aside(text, output),
                Some(reasoning_content_block_delta::Delta::RedactedContent(_)) => {
                    self.aside("[encrypted reasoning] ", output)
                }
                _ => Ok(()),
            },
            Some(Delta::ToolResult(delta)) => {
                for part in &delta.content {
                    if let Some(
                        tool_result_block_delta_content::Content::Text(text)
                        | tool_result_block_delta_content::Content::Json(text),
                    ) = &part.content
                    {
                        self.aside(text, output)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn stop(&mut self, event: &ContentBlockStopEvent, output: &mut Output) -> io::Result<()> {
        let Some(block) = self.blocks.get_mut(&event.content_block_index) else {
            return Ok(());
        };
        let marks: String = block.cited.drain(..).map(|n| format!("[{n}]")).collect();
        if let Some((name, input)) = block.tool_use.take() {
            // If no fragment has arrived, the tool has no input.
            let input = if input.is_empty() { "{}" } else { &input };
            let call = format!("[tool call: {name}] {input}");
            self.end_line(output)?;
            output.line(&call)?;
        }
        if !marks.is_empty() {
            self.answer(&marks, output)?;
        }
        Ok(())
    }

    fn answer(&mut self, text: &str, output: &mut Output) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.open_line == OpenLine::Aside {
            self.end_line(output)?;
        }
        output.text(text)?;
        self.open_line = if text.ends_with('\n') {
            OpenLine::None
        } else {
            OpenLine::Answer
        };
        Ok(())
    }

    fn aside(&mut self, text: &str, output: &mut Output) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if self.open_line == OpenLine::Answer {
            self.end_line(output)?;
        }
        output.aside(text);
        self.open_line = if text.ends_with('\n') {
            OpenLine::None
        } else {
            OpenLine::Aside
        };
        Ok(())
    }

    fn end_line(&mut self, output: &mut Output) -> io::Result<()> {
        match std::mem::replace(&mut self.open_line, OpenLine::None) {
            OpenLine::None => Ok(()),
            OpenLine::Answer => output.text("\n"),
            OpenLine::Aside => {
                output.aside("\n");
                Ok(())
            }
        }
    }
}

/// Formats a source as one line: its title, its address, and the position in it.
fn describe(citation: &Citation) -> String {
    let place = citation
        .location
        .as_ref()
        .and_then(|location| location.location.as_ref());
    let (address, range) = match place {
        None => (None, None),
        Some(Location::Web(web)) => (web.url.clone().or_else(|| web.domain.clone()), None),
        Some(Location::DocumentChar(at)) => (None, range("characters", at.start, at.end)),
        Some(Location::DocumentPage(at)) => (None, range("pages", at.start, at.end)),
        Some(Location::DocumentChunk(at)) => (None, range("chunks", at.start, at.end)),
        Some(Location::SearchResultLocation(at)) => (None, range("blocks", at.start, at.end)),
    };
    let mut parts: Vec<String> = Vec::new();
    for part in [&citation.title, &citation.source, &address, &range]
        .into_iter()
        .flatten()
    {
        if !part.is_empty() && !parts.contains(part) {
            parts.push(part.clone());
        }
    }
    if parts.is_empty() {
        parts.push("(source without a name)".to_owned());
    }
    parts.join(", ")
}

fn range(unit: &str, start: Option<i32>, end: Option<i32>) -> Option<String> {
    match (start, end) {
        (Some(start), Some(end)) => Some(format!("{unit} {start} to {end}")),
        (Some(start), None) => Some(format!("{unit} from {start}")),
        _ => None,
    }
}
