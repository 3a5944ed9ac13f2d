package example;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.annotations.SerializedName;
import com.google.protobuf.ByteString;
import io.github.bedrockgrpc.inference.v1.ContentBlock;
import io.github.bedrockgrpc.inference.v1.ConverseInput;
import io.github.bedrockgrpc.inference.v1.InferenceServiceGrpc;
import io.github.bedrockgrpc.inference.v1.InvokeRequest;
import io.github.bedrockgrpc.inference.v1.ModelServiceGrpc;
import io.github.bedrockgrpc.inference.v1.StreamInvokeRequest;
import io.github.bedrockgrpc.inference.v1.TokenUsage;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**

 * Runs the rows of examples/scenarios.json and prints each result as a line of JSON.

 * tests/clients/run compares them.

 */
final class Scenario {
  private record File(List<Row> rows) {}

  private record Row(
      String name,
      String method,
      String target,
      String text,
      @SerializedName("nearest_of") List<String> nearestOf,
      Integer times,
      String image,
      @SerializedName("blank_images") BlankImages blankImages,
      @SerializedName("max_tokens") Integer maxTokens,
      @SerializedName("model_fields") JsonObject modelFields,
      @SerializedName("deadline_ms") Long deadlineMs,
      @SerializedName("cancel_after_deltas") int cancelAfterDeltas,
      List<RowTool> tools,
      Own connection) {}

  private record BlankImages(int count, int bytes) {}

  private record RowTool(String name, String description, @SerializedName("input_schema") JsonObject inputSchema, JsonElement result) {}

  private record Own(
      String address,
      @SerializedName("service_config") JsonObject serviceConfig,
      @SerializedName("keepalive_seconds") Integer keepaliveSeconds,
      boolean bare) {}

  private Scenario() {}

  static void run(String address, Path file, List<String> names) throws Exception {
    var shared = Connection.open(address);
    for (var row : new Gson().fromJson(Files.readString(file), File.class).rows()) {
      if (!names.isEmpty() && !names.contains(row.name())) {
        continue;
      }
      var channel = row.connection() == null ? shared : open(address, row.connection());
      System.out.println(outcome(channel, row, file.getParent()));
      if (channel != shared) {
        channel.shutdownNow();
      }
    }
    shared.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
  }

  private static ManagedChannel open(String address, Own own) throws IOException {
    if (own.bare()) {
      // The library's default, without what docs/clients.md recommends.
      return Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
    }
    return Connection.open(
        own.address() == null ? address : System.getenv(own.address()),
        own.serviceConfig() == null ? Connection.defaultServiceConfig() : own.serviceConfig().toString(),
        Duration.ofSeconds(own.keepaliveSeconds() == null ? 30 : own.keepaliveSeconds()));
  }

  private static JsonObject outcome(ManagedChannel channel, Row row, Path folder) throws IOException {
    var begun = System.nanoTime();
    var result = new JsonObject();
    result.addProperty("row", row.name());
    result.addProperty("code", "OK");
    try {
      for (int n = 0; n < (row.times() == null ? 1 : row.times()); n++) {
        ask(channel, row, folder, result);
      }
    } catch (StatusRuntimeException error) {
      var failure = Failure.of(error);
      result.addProperty("code", failure.code().name());
      result.addProperty("reason", failure.reason());
      result.add("fields", new Gson().toJsonTree(failure.fields()));
      if (failure.retryDelay() != null) {
        result.addProperty("retry_delay_ms", failure.retryDelay().toMillis());
      }
      if (failure.upstream() != null) {
        var upstream = new JsonObject();
        upstream.addProperty("exception", failure.upstream().getException());
        upstream.addProperty("phase", failure.upstream().getPhase().name());
        result.add("upstream", upstream);
      }
    }
    result.addProperty("took_ms", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun));
    return result;
  }

  private static ConverseInput.Builder input(Row row, Path folder) throws IOException {
    List<ContentBlock> blocks = new ArrayList<>();
    if (row.image() != null) {
      blocks.add(Conversation.png(ByteString.copyFrom(Files.readAllBytes(folder.resolve(row.image())))));
    }
    for (int n = 0; row.blankImages() != null && n < row.blankImages().count(); n++) {
      blocks.add(Conversation.png(ByteString.copyFrom(new byte[row.blankImages().bytes()])));
    }
    blocks.add(Conversation.text(row.text()));
    // Finds the row's calls in the emulator's log.
    var input = Conversation.of(Conversation.user(blocks)).putRequestMetadata("row", row.name());
    if (row.maxTokens() != null) {
      input.getInferenceConfigBuilder().setMaxTokens(row.maxTokens());
    }
    if (row.modelFields() != null) {
      input.setAdditionalModelRequestFieldsJson(row.modelFields().toString());
    }
    for (var tool : tools(row)) {
      input.getToolConfigBuilder().addTools(Conversation.tool(tool.name(), tool.description(), tool.inputSchema()));
    }
    return input;
  }

  private static List<RowTool> tools(Row row) {
    return row.tools() == null ? List.of() : row.tools();
  }

  private static void ask(ManagedChannel channel, Row row, Path folder, JsonObject result) throws IOException {
    if ("InvokeModel".equals(row.method())) {
      var models = ModelServiceGrpc.newBlockingStub(channel);
      result.addProperty("text", Embedding.nearest(models, row.target(), row.text(), row.nearestOf()));
      return;
    }
    var stub = InferenceServiceGrpc.newBlockingStub(channel);
    var client = row.deadlineMs() == null ? stub : stub.withDeadlineAfter(row.deadlineMs(), TimeUnit.MILLISECONDS);
    var input = input(row, folder);

    if ("Invoke".equals(row.method())) {
      var reply = client.invoke(InvokeRequest.newBuilder().setTarget(row.target()).setInput(input).build());
      var text = new StringBuilder();
      reply.getMessage().getContentList().forEach(block -> text.append(block.getText()));
      result.addProperty("text", text.toString());
      result.addProperty("stop_reason", reply.getStopReasonName());
      result.add("usage", tokens(reply.getMetadata().getUsage()));
      return;
    }

    var calls = new JsonArray();
    result.add("tool_calls", calls);
    while (true) {
      var request = StreamInvokeRequest.newBuilder().setTarget(row.target()).setInput(input).build();
      var answer = new Answer();
      try (var context = Context.current().withCancellation()) {
        context.run(() -> answer.read(client.streamInvoke(request), token -> {
          if (answer.deltas() == row.cancelAfterDeltas()) {
            context.cancel(null);
          }
        }));
      } finally {
        result.addProperty("text", answer.text());
        result.addProperty("deltas", answer.deltas());
        result.addProperty("stop_reason", answer.stopReason());
      }
      result.add("usage", tokens(answer.usage()));
      List<ContentBlock> results = new ArrayList<>();
      for (var use : answer.toolUses()) {
        var call = new JsonObject();
        call.addProperty("name", use.name());
        call.addProperty("input", use.input().substring(0, Math.min(20, use.input().length())));
        call.addProperty("input_bytes", use.input().getBytes(StandardCharsets.UTF_8).length);
        calls.add(call);
        for (var tool : tools(row)) {
          if (tool.name().equals(use.name())) {
            results.add(Conversation.toolResult(use.id(), tool.result()));
          }
        }
      }
      if (!answer.stopReason().equals("tool_use")) {
        return;
      }
      input.addMessages(answer.message()).addMessages(Conversation.user(results));
    }
  }

  private static JsonArray tokens(TokenUsage usage) {
    var tokens = new JsonArray();
    tokens.add(usage.getInputTokens());
    tokens.add(usage.getOutputTokens());
    tokens.add(usage.getTotalTokens());
    return tokens;
  }
}
