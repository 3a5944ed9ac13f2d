//! Ends an answer early: at stop sequences and at `maxTokens`.

use super::draft::{Block, Draft, Piece};

/// Truncates the text before its first stop sequence. Reasoning and tool input are not searched for
/// stop sequences.
pub(super) fn stop_at_sequences<'a>(
    draft: &mut Draft,
    sequences: impl IntoIterator<Item = &'a str>,
) {
    let text: String = draft
        .blocks
        .iter()
        .flat_map(|block| &block.pieces)
        .filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let first = sequences
        .into_iter()
        .filter(|sequence| !sequence.is_empty())
        .filter_map(|sequence| text.find(sequence).map(|offset| (offset, sequence)))
        .min();
    let Some((offset, sequence)) = first else {
        return;
    };
    cut_text(&mut draft.blocks, offset);
    draft.stop_reason = "stop_sequence";
    draft.stop_sequence = Some(sequence.to_owned());
}

/// Keeps the first `left` bytes of text, and removes everything after them.
fn cut_text(blocks: &mut Vec<Block>, mut left: usize) {
    let mut kept = 0;
    for block in blocks.iter_mut() {
        let mut pieces = 0;
        let mut reached = false;
        for piece in &mut block.pieces {
            if let Piece::Text(text) = piece {
                if text.len() > left {
                    text.truncate(left);
                    pieces += usize::from(left > 0);
                    reached = true;
                    break;
                }
                left -= text.len();
            }
            pieces += 1;
        }
        if reached {
            block.pieces.truncate(pieces);
            kept += usize::from(block.tokens() > 0);
            break;
        }
        kept += 1;
    }
    blocks.truncate(kept);
}

/// Ends the answer after `limit` output tokens, even in the middle of a tool's input.
pub(super) fn stop_at_tokens(draft: &mut Draft, limit: u64) {
    if draft.tokens() <= limit {
        return;
    }
    let mut left = limit;
    let mut kept = 0;
    for block in &mut draft.blocks {
        if block.tokens() <= left {
            left -= block.tokens();
            kept += 1;
            continue;
        }
        let mut pieces = 0;
        for piece in &block.pieces {
            if piece.tokens() > left {
                break;
            }
            left -= piece.tokens();
            pieces += 1;
        }
        block.pieces.truncate(pieces);
        // If none of a block's tokens fit, the block does not begin.
        kept += usize::from(block.tokens() > 0);
        break;
    }
    draft.blocks.truncate(kept);
    draft.stop_reason = "max_tokens";
    draft.stop_sequence = None;
}
