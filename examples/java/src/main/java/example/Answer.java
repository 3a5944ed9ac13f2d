package example;

import com.google.protobuf.ByteString;
import io.github.bedrockgrpc.inference.v1.ContentBlock;
import io.github.bedrockgrpc.inference.v1.Message;
import io.github.bedrockgrpc.inference.v1.ReasoningContentBlock;
import io.github.bedrockgrpc.inference.v1.ReasoningContentBlockDelta;
import io.github.bedrockgrpc.inference.v1.ReasoningTextBlock;
import io.github.bedrockgrpc.inference.v1.Role;
import io.github.bedrockgrpc.inference.v1.StreamInvokeResponse;
import io.github.bedrockgrpc.inference.v1.TokenUsage;
import io.github.bedrockgrpc.inference.v1.ToolUseBlock;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Consumer;

/**

 * A streamed answer, combined as it arrives. It is complete when usage is set: metadata ends every

 * successful stream.

 */
final class Answer {
  /** A tool use. Its input arrives in fragments of JSON; parse them only when all have arrived. */
  record ToolUse(String id, String name, StringBuilder fragments) {
    String input() {
      return fragments.isEmpty() ? "{}" : fragments.toString();
    }
  }

  /** A content block: text, reasoning, or a tool use. */
  private static final class Block {
    final StringBuilder text = new StringBuilder();
    final StringBuilder reasoning = new StringBuilder();
    final StringBuilder signature = new StringBuilder();
    ByteString redacted = ByteString.EMPTY;
    ToolUse toolUse;

    void reason(ReasoningContentBlockDelta delta) {
      reasoning.append(delta.getText());
      signature.append(delta.getSignature());
      redacted = redacted.concat(delta.getRedactedContent());
    }

    /** Null for an empty text, which Bedrock rejects. */
    ContentBlock content() {
      var content = ContentBlock.newBuilder();
      if (toolUse != null) {
        var use = ToolUseBlock.newBuilder().setToolUseId(toolUse.id()).setName(toolUse.name()).setInputJson(toolUse.input());
        return content.setToolUse(use).build();
      }
      if (!redacted.isEmpty()) {
        return content.setReasoningContent(ReasoningContentBlock.newBuilder().setRedactedContent(redacted)).build();
      }
      if (!reasoning.isEmpty() || !signature.isEmpty()) {
        var reasoningText = ReasoningTextBlock.newBuilder().setText(reasoning.toString());
        if (!signature.isEmpty()) {
          reasoningText.setSignature(signature.toString());
        }
        return content.setReasoningContent(ReasoningContentBlock.newBuilder().setReasoningText(reasoningText)).build();
      }
      return text.isEmpty() ? null : Conversation.text(text.toString());
    }
  }

  private final StringBuilder text = new StringBuilder();

  /** By index, which is their order. */
  private final Map<Integer, Block> blocks = new TreeMap<>();

  private int deltas;
  private String stopReason = "";
  private TokenUsage usage;

  /** Reads until the stream ends. What arrived before an error is kept. */
  Answer read(Iterator<StreamInvokeResponse> events, Consumer<String> onText) {
    while (events.hasNext()) {
      var event = events.next();
      switch (event.getEventCase()) {
        case CONTENT_BLOCK_START -> {
          var start = event.getContentBlockStart();
          if (start.hasToolUse()) {
            var use = new ToolUse(start.getToolUse().getToolUseId(), start.getToolUse().getName(), new StringBuilder());
            block(start.getContentBlockIndex()).toolUse = use;
          }
        }
        case CONTENT_BLOCK_DELTA -> {
          var delta = event.getContentBlockDelta();
          var block = block(delta.getContentBlockIndex());
          switch (delta.getDeltaCase()) {
            case TEXT -> {
              block.text.append(delta.getText());
              text.append(delta.getText());
              deltas++;
              onText.accept(delta.getText());
            }
            case TOOL_USE -> block.toolUse.fragments().append(delta.getToolUse().getInput());
            case REASONING_CONTENT -> block.reason(delta.getReasoningContent());
            default -> {}
          }
        }
        case MESSAGE_STOP -> stopReason = event.getMessageStop().getStopReasonName();
        case METADATA -> usage = event.getMetadata().getMetadata().getUsage();
        default -> {} // Heartbeats, and what a later version of the API adds.
      }
    }
    return this;
  }

  private Block block(int index) {
    return blocks.computeIfAbsent(index, it -> new Block());
  }

  String text() {
    return text.toString();
  }

  int deltas() {
    return deltas;
  }

  List<ToolUse> toolUses() {
    return blocks.values().stream().map(block -> block.toolUse).filter(Objects::nonNull).toList();
  }

  String stopReason() {
    return stopReason;
  }

  TokenUsage usage() {
    return usage;
  }

  /**
   * The answer as a turn of the conversation, to send with the next request. It includes the
   * reasoning, unchanged and in its place: Claude rejects a tool result without the signed
   * reasoning before the tool use.
   */
  Message message() {
    var content = blocks.values().stream().map(Block::content).filter(Objects::nonNull).toList();
    return Message.newBuilder().setRole(Role.ROLE_ASSISTANT).addAllContent(content).build();
  }
}
