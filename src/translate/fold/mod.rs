//! Combines the events of a stream into one answer.

mod block;

use pb::stream_invoke_response::Event;

use crate::pb;
use block::Block;

/// The answer, built from the events that have arrived so far.
#[derive(Debug, Default)]
pub struct Fold {
    answer: pb::InvokeResponse,
    role: i32,
    /// The content blocks, in the order in which they began.
    blocks: Vec<Block>,
    raw: Vec<Raw>,
}

/// A raw member of an event whose final position is not determined yet.
#[derive(Debug)]
struct Raw {
    root: Root,
    member: pb::RawMember,
}

/// The part of the answer to which the pointer of a [`Raw`] is relative.
#[derive(Clone, Copy, Debug)]
enum Root {
    Answer,
    Message,
    /// The block at this position in [`Fold::blocks`].
    Block(usize),
}

impl Fold {
    /// Adds the next event. Heartbeats change nothing.
    pub fn push(&mut self, event: pb::StreamInvokeResponse) {
        let raw = event.raw_members;
        match event.event {
            Some(Event::MessageStart(start)) => {
                self.role = start.role;
                self.answer.target = start.target;
                self.answer.request_id = start.request_id;
                self.answer.bedrock_request_id = start.bedrock_request_id;
                self.answer.attempts = start.attempts;
                self.keep(Root::Message, raw);
            }
            Some(Event::ContentBlockStart(start)) => {
                self.blocks.push(Block::begin(start));
                let position = self.blocks.len() - 1;
                self.keep_of_block(position, raw, |pointer| strip_parent(pointer, "/start"));
            }
            Some(Event::ContentBlockDelta(delta)) => self.push_delta(delta, raw),
            Some(Event::ContentBlockStop(stop)) if !raw.is_empty() => {
                let position = self.block(stop.content_block_index);
                self.keep_of_block(position, raw, str::to_owned);
            }
            Some(Event::MessageStop(stop)) => {
                self.answer.stop_reason = stop.stop_reason;
                self.answer.stop_reason_name = stop.stop_reason_name;
                self.answer.additional_model_response_fields_json =
                    stop.additional_model_response_fields_json;
                self.keep(Root::Answer, raw);
            }
            Some(Event::Metadata(event)) => {
                self.answer.metadata = event.metadata;
                self.answer.estimated_cost = event.estimated_cost;
                self.keep(Root::Answer, raw);
            }
            Some(Event::Unknown(unknown)) => self.answer.unknown_events.push(unknown),
            Some(Event::ContentBlockStop(_) | Event::Heartbeat(_)) | None => {}
        }
    }

    fn push_delta(&mut self, event: pb::ContentBlockDeltaEvent, raw: Vec<pb::RawMember>) {
        let index = event.content_block_index;
        let mut position = self.block(index);
        let mut piece = 0;
        if let (Some(delta), Some(block)) = (event.delta, self.blocks.get_mut(position)) {
            match block.push(delta) {
                Ok(at) => piece = at,
                // A delta of another kind than the block begins a new block, so that it is not
                // lost.
                Err(delta) => {
                    position = self.blocks.len();
                    self.blocks.push(Block::of(index, delta));
                }
            }
        }
        self.keep_of_block(position, raw, |pointer| block::reroot(pointer, piece));
    }

    /// Returns the position of the block with this index. Adds the block if it does not exist.
    fn block(&mut self, index: i32) -> usize {
        let open = self.blocks.iter().rposition(|block| block.index == index);
        open.unwrap_or_else(|| {
            self.blocks.push(Block::new(index));
            self.blocks.len() - 1
        })
    }

    fn keep(&mut self, root: Root, raw: Vec<pb::RawMember>) {
        self.raw
            .extend(raw.into_iter().map(|member| Raw { root, member }));
    }

    fn keep_of_block(
        &mut self,
        position: usize,
        raw: Vec<pb::RawMember>,
        pointer: impl Fn(&str) -> String,
    ) {
        if let Some(block) = self.blocks.get_mut(position) {
            block.has_raw |= !raw.is_empty();
        }
        self.raw.extend(raw.into_iter().map(|member| Raw {
            root: Root::Block(position),
            member: pb::RawMember {
                pointer: pointer(&member.pointer),
                json: member.json,
            },
        }));
    }

    /// Returns the complete answer. The blocks are ordered by their index, and the pointers of raw
    /// members are relative to the Converse response.
    pub fn finish(self) -> pb::InvokeResponse {
        let mut order: Vec<(usize, Block)> = self.blocks.into_iter().enumerate().collect();
        order.sort_by_key(|(_, block)| block.index);
        let mut content = Vec::with_capacity(order.len());
        let mut places = vec![0; order.len()];
        for (position, block) in order {
            if let Some(place) = places.get_mut(position) {
                *place = content.len();
            }
            content.extend(block.finish());
        }

        let raw = self.raw.into_iter().map(|Raw { root, mut member }| {
            match root {
                Root::Answer => {}
                Root::Message => member.pointer.insert_str(0, "/output/message"),
                Root::Block(position) => {
                    let place = places.get(position).copied().unwrap_or_default();
                    let parent = format!("/output/message/content/{place}");
                    member.pointer.insert_str(0, &parent);
                }
            }
            member
        });
        pb::InvokeResponse {
            message: Some(pb::Message {
                role: self.role,
                content,
            }),
            raw_members: raw.collect(),
            ..self.answer
        }
    }
}

/// Returns the pointer without this prefix.
fn strip_parent(pointer: &str, parent: &str) -> String {
    pointer.strip_prefix(parent).unwrap_or(pointer).to_owned()
}
