package example;

import io.github.bedrockgrpc.inference.v1.ContentBlock;
import io.github.bedrockgrpc.inference.v1.Message;
import io.github.bedrockgrpc.inference.v1.Role;
import io.github.bedrockgrpc.inference.v1.StreamInvokeResponse;
import io.github.bedrockgrpc.inference.v1.TokenUsage;
import io.github.bedrockgrpc.inference.v1.ToolUseBlock;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** A streamed answer, put together while it comes. It is complete when usage is set: metadata ends every stream that is OK. */
final class Answer {
  /** A call of a tool; its input comes in fragments of JSON, which can be parsed only together. */
  record ToolUse(String id, String name, StringBuilder fragments) {
    String input() {
      return fragments.isEmpty() ? "{}" : fragments.toString();
    }
  }

  private final StringBuilder text = new StringBuilder();
  private final Map<Integer, ToolUse> toolUses = new LinkedHashMap<>();
  private int deltas;
  private String stopReason = "";
  private TokenUsage usage;

  /** Reads until the stream ends. What came before an error is kept. */
  Answer read(Iterator<StreamInvokeResponse> events, Consumer<String> onText) {
    while (events.hasNext()) {
      var event = events.next();
      switch (event.getEventCase()) {
        case CONTENT_BLOCK_START -> {
          var start = event.getContentBlockStart();
          if (start.hasToolUse()) {
            var use = new ToolUse(start.getToolUse().getToolUseId(), start.getToolUse().getName(), new StringBuilder());
            toolUses.put(start.getContentBlockIndex(), use);
          }
        }
        case CONTENT_BLOCK_DELTA -> {
          var delta = event.getContentBlockDelta();
          switch (delta.getDeltaCase()) {
            case TEXT -> {
              text.append(delta.getText());
              deltas++;
              onText.accept(delta.getText());
            }
            case TOOL_USE -> toolUses.get(delta.getContentBlockIndex()).fragments().append(delta.getToolUse().getInput());
            default -> {}
          }
        }
        case MESSAGE_STOP -> stopReason = event.getMessageStop().getStopReasonName();
        case METADATA -> usage = event.getMetadata().getMetadata().getUsage();
        default -> {} // Heartbeats, and what a later version of the API brings.
      }
    }
    return this;
  }

  String text() {
    return text.toString();
  }

  int deltas() {
    return deltas;
  }

  List<ToolUse> toolUses() {
    return List.copyOf(toolUses.values());
  }

  String stopReason() {
    return stopReason;
  }

  TokenUsage usage() {
    return usage;
  }

  /** The answer as a turn of the conversation, to be sent back with the next one. */
  Message message() {
    var message = Message.newBuilder().setRole(Role.ROLE_ASSISTANT);
    if (!text.isEmpty()) {
      message.addContent(Conversation.text(text()));
    }
    for (var use : toolUses.values()) {
      var block = ToolUseBlock.newBuilder().setToolUseId(use.id()).setName(use.name()).setInputJson(use.input());
      message.addContent(ContentBlock.newBuilder().setToolUse(block));
    }
    return message.build();
  }
}
