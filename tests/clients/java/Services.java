import com.google.protobuf.ByteString;
import io.github.bedrockgrpc.inference.v1.ApplyGuardrailRequest;
import io.github.bedrockgrpc.inference.v1.ContentBlock;
import io.github.bedrockgrpc.inference.v1.ConverseInput;
import io.github.bedrockgrpc.inference.v1.CountTokensRequest;
import io.github.bedrockgrpc.inference.v1.GuardrailAction;
import io.github.bedrockgrpc.inference.v1.GuardrailContentSource;
import io.github.bedrockgrpc.inference.v1.GuardrailConverseContentBlock;
import io.github.bedrockgrpc.inference.v1.GuardrailConverseTextBlock;
import io.github.bedrockgrpc.inference.v1.GuardrailServiceGrpc;
import io.github.bedrockgrpc.inference.v1.InferenceServiceGrpc;
import io.github.bedrockgrpc.inference.v1.Message;
import io.github.bedrockgrpc.inference.v1.ModelServiceGrpc;
import io.github.bedrockgrpc.inference.v1.Role;
import io.github.bedrockgrpc.inference.v1.StreamInvokeModelRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import java.util.concurrent.TimeUnit;

/** Calls the methods that the scenarios do not call, against the gateway at GATEWAY_GRPC. */
final class Services {
  /** An inference profile of a model that counts tokens. */
  private static final String COUNTS = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

  private static final String CLAUDE =
      """
      {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50,
       "messages": [{"role": "user", "content": "Count to 10"}]}
      """;

  public static void main(String[] args) throws InterruptedException {
    var channel = Grpc.newChannelBuilder(System.getenv("GATEWAY_GRPC"), InsecureChannelCredentials.create()).build();
    try {
      countTokens(InferenceServiceGrpc.newBlockingStub(channel).withDeadlineAfter(20, TimeUnit.SECONDS));
      streamInvokeModel(ModelServiceGrpc.newBlockingStub(channel).withDeadlineAfter(20, TimeUnit.SECONDS));
      applyGuardrail(GuardrailServiceGrpc.newBlockingStub(channel).withDeadlineAfter(20, TimeUnit.SECONDS));
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
    System.out.println("java: CountTokens, StreamInvokeModel and ApplyGuardrail passed");
  }

  private static void countTokens(InferenceServiceGrpc.InferenceServiceBlockingStub client) {
    var message = Message.newBuilder().setRole(Role.ROLE_USER).addContent(ContentBlock.newBuilder().setText("Count to 10"));
    var input = ConverseInput.newBuilder().addMessages(message);
    var answer = client.countTokens(CountTokensRequest.newBuilder().setTarget(COUNTS).setInput(input).build());
    check(answer.getInputTokens() > 0 && COUNTS.equals("us." + answer.getCountedBy()), answer);
  }

  private static void streamInvokeModel(ModelServiceGrpc.ModelServiceBlockingStub client) {
    var request = StreamInvokeModelRequest.newBuilder().setTarget("claude").setBody(ByteString.copyFromUtf8(CLAUDE));
    var events = client.streamInvokeModel(request.build());
    var lastChunk = "";
    var outputTokens = 0;
    while (events.hasNext()) {
      var event = events.next();
      if (event.hasChunk()) {
        lastChunk = event.getChunk().toStringUtf8();
      } else if (event.hasMetadata()) {
        outputTokens = event.getMetadata().getMetadata().getUsage().getOutputTokens();
      }
    }
    check(lastChunk.contains("message_stop") && outputTokens > 0, lastChunk);
  }

  private static void applyGuardrail(GuardrailServiceGrpc.GuardrailServiceBlockingStub client) {
    var text = GuardrailConverseTextBlock.newBuilder().setText("Write to ann@example.com");
    var request =
        ApplyGuardrailRequest.newBuilder()
            .setTarget("nova")
            .setGuardrailIdentifier("gr1")
            .setGuardrailVersion("1")
            .setSource(GuardrailContentSource.GUARDRAIL_CONTENT_SOURCE_OUTPUT)
            .addContent(GuardrailConverseContentBlock.newBuilder().setText(text));
    var answer = client.applyGuardrail(request.build());
    check(answer.getAction() == GuardrailAction.GUARDRAIL_ACTION_GUARDRAIL_INTERVENED, answer);
    check(answer.getOutputsCount() == 1 && answer.getOutputs(0).getText().equals("Write to {EMAIL}"), answer);
  }

  private static void check(boolean expected, Object seen) {
    if (!expected) {
      throw new AssertionError(seen);
    }
  }
}
