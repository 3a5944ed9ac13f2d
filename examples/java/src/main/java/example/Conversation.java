package example;

import com.google.gson.JsonElement;
import com.google.protobuf.ByteString;
import io.github.bedrockgrpc.inference.v1.ContentBlock;
import io.github.bedrockgrpc.inference.v1.ConverseInput;
import io.github.bedrockgrpc.inference.v1.ImageBlock;
import io.github.bedrockgrpc.inference.v1.ImageFormat;
import io.github.bedrockgrpc.inference.v1.MediaSource;
import io.github.bedrockgrpc.inference.v1.Message;
import io.github.bedrockgrpc.inference.v1.Role;
import io.github.bedrockgrpc.inference.v1.Tool;
import io.github.bedrockgrpc.inference.v1.ToolInputSchema;
import io.github.bedrockgrpc.inference.v1.ToolResultBlock;
import io.github.bedrockgrpc.inference.v1.ToolResultContentBlock;
import io.github.bedrockgrpc.inference.v1.ToolSpecification;
import java.util.List;

/** The input: messages, images, tools. */
final class Conversation {
  private Conversation() {}

  static ConverseInput.Builder of(Message... messages) {
    return ConverseInput.newBuilder().addAllMessages(List.of(messages));
  }

  static Message user(ContentBlock... blocks) {
    return user(List.of(blocks));
  }

  static Message user(List<ContentBlock> blocks) {
    return Message.newBuilder().setRole(Role.ROLE_USER).addAllContent(blocks).build();
  }

  static ContentBlock text(String text) {
    return ContentBlock.newBuilder().setText(text).build();
  }

  /** The raw bytes of the file, not base64. */
  static ContentBlock png(ByteString bytes) {
    var image = ImageBlock.newBuilder().setFormat(ImageFormat.IMAGE_FORMAT_PNG).setSource(MediaSource.newBuilder().setBytes(bytes));
    return ContentBlock.newBuilder().setImage(image).build();
  }

  /**

   * The schema is a JsonObject, which keeps its key order. It reaches the model as this text, so

   * prompt caches hit.

   */
  static Tool tool(String name, String description, JsonElement inputSchema) {
    var schema = ToolInputSchema.newBuilder().setJson(inputSchema.toString());
    var spec = ToolSpecification.newBuilder().setName(name).setDescription(description).setInputSchema(schema);
    return Tool.newBuilder().setToolSpec(spec).build();
  }

  static ContentBlock toolResult(String toolUseId, JsonElement result) {
    var content = ToolResultContentBlock.newBuilder().setJson(result.toString());
    return ContentBlock.newBuilder().setToolResult(ToolResultBlock.newBuilder().setToolUseId(toolUseId).addContent(content)).build();
  }
}
