package example;

import static example.Conversation.text;
import static example.Conversation.tool;
import static example.Conversation.toolResult;
import static example.Conversation.user;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import io.github.bedrockgrpc.inference.v1.ContentBlock;
import io.github.bedrockgrpc.inference.v1.ConverseInput;
import io.github.bedrockgrpc.inference.v1.InferenceServiceGrpc;
import io.github.bedrockgrpc.inference.v1.InferenceServiceGrpc.InferenceServiceBlockingStub;
import io.github.bedrockgrpc.inference.v1.ModelServiceGrpc;
import io.github.bedrockgrpc.inference.v1.StreamInvokeRequest;
import io.github.bedrockgrpc.inference.v1.ToolConfiguration;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**

 * A client of bedrock-grpc. The first argument chooses the example: stream, cancel, deadline,

 * tools, image, embed, errors or scenario.

 */
public final class Main {
  // A model that is slow, or fails: `bedrock-grpc emulate --help` lists all faults.
  private static final String FAULT = "us.amazon.nova-lite-v1:0.fault-";

  private final InferenceServiceBlockingStub client;

  private Main(InferenceServiceBlockingStub client) {
    this.client = client;
  }

  private static StreamInvokeRequest ask(String target, ConverseInput.Builder input) {
    return StreamInvokeRequest.newBuilder().setTarget(target).setInput(input).build();
  }

  private static void show(String token) {
    System.out.print(token);
    System.out.flush();
  }

  /** Prints tokens as they arrive. */
  void stream() {
    var request = ask("claude", Conversation.of(user(text("Why is the sky blue?"))));
    var answer = new Answer().read(client.streamInvoke(request), Main::show);
    System.out.printf("%n%s, %d tokens%n", answer.stopReason(), answer.usage().getTotalTokens());
  }

  /**

   * Stops after three tokens. The gateway closes the call to Bedrock, so that the model can stop.

   */
  void cancel() {
    var request = ask("claude", Conversation.of(user(text("Count to 100"))));
    var answer = new Answer();
    try (var context = Context.current().withCancellation()) {
      context.run(() -> answer.read(client.streamInvoke(request), token -> {
        show(token);
        if (answer.deltas() == 3) {
          context.cancel(null);
        }
      }));
    } catch (StatusRuntimeException error) {
      System.out.printf("%n%s%n", error.getStatus().getCode());
    }
  }

  /**

   * Allows three seconds for the whole call, including the connection. Output that arrived until

   * then is kept.

   */
  void deadline() {
    var request = ask(FAULT + "stall-after-3", Conversation.of(user(text("Count to 100"))));
    var answer = new Answer();
    try {
      answer.read(client.withDeadlineAfter(3, TimeUnit.SECONDS).streamInvoke(request), Main::show);
    } catch (StatusRuntimeException error) {
      System.out.printf("%n%s after \"%s\"%n", error.getStatus().getCode(), answer.text());
    }
  }

  /** The model uses a tool, the client runs it, the model continues. */
  void tools() {
    var schema = JsonParser.parseString("""
        {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}""");
    var input = Conversation.of(user(text("What is the weather in Paris?")))
        .setToolConfig(ToolConfiguration.newBuilder().addTools(tool("get_weather", "The weather in a city", schema)));
    while (true) {
      var answer = new Answer().read(client.streamInvoke(ask("claude", input)), Main::show);
      System.out.println();
      if (!answer.stopReason().equals("tool_use")) {
        return;
      }
      List<ContentBlock> results = new ArrayList<>();
      for (var use : answer.toolUses()) {
        System.out.printf("[%s %s]%n", use.name(), use.input());
        var result = new JsonObject();
        result.add("city", JsonParser.parseString(use.input()).getAsJsonObject().get("city"));
        result.addProperty("celsius", 21);
        results.add(toolResult(use.id(), result));
      }
      input.addMessages(answer.message()).addMessages(user(results));
    }
  }

  /** Sends an image with the question. */
  void image() throws IOException {
    var picture = Conversation.png(ByteString.copyFrom(Files.readAllBytes(Path.of("../image.png"))));
    new Answer().read(client.streamInvoke(ask("claude", Conversation.of(user(picture, text("What is this?"))))), Main::show);
    System.out.println();
  }

  /** Prints which of two texts is nearer to a third one. */
  void embed() {
    var models = ModelServiceGrpc.newBlockingStub(client.getChannel());
    var others = List.of("quarterly tax report", "a lighthouse by the sea");
    System.out.println(Embedding.nearest(models, "embed", "ships look for the lighthouse", others));
  }

  /** Shows a rate limit, an error in mid-stream, and an invalid request. */
  void errors() throws IOException {
    for (var target : List.of(FAULT + "throttling-x-amz-retry-after", FAULT + "stream-model-stream-error-after-3", "claud")) {
      try {
        new Answer().read(client.streamInvoke(ask(target, Conversation.of(user(text("Count to 10"))))), token -> {});
      } catch (StatusRuntimeException error) {
        System.out.println(Failure.of(error));
      }
    }
  }

  public static void main(String[] arguments) throws Exception {
    var address = System.getenv().getOrDefault("GATEWAY_GRPC", "localhost:50051");
    var name = arguments.length > 0 ? arguments[0] : "stream";
    if (name.equals("scenario")) {
      Scenario.run(address, Path.of(arguments[1]), Arrays.asList(arguments).subList(2, arguments.length));
      return;
    }
    var channel = Connection.open(address);
    try {
      var main = new Main(InferenceServiceGrpc.newBlockingStub(channel));
      switch (name) {
        case "stream" -> main.stream();
        case "cancel" -> main.cancel();
        case "deadline" -> main.deadline();
        case "tools" -> main.tools();
        case "image" -> main.image();
        case "embed" -> main.embed();
        case "errors" -> main.errors();
        default -> throw new IllegalArgumentException("there is no " + name);
      }
    } finally {
      channel.shutdown().awaitTermination(10, TimeUnit.SECONDS);
    }
  }
}
