import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.document.Document;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.DefaultRetryStrategy;
import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeAsyncClient;
import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeClient;
import software.amazon.awssdk.services.bedrockruntime.model.ContentBlock;
import software.amazon.awssdk.services.bedrockruntime.model.ConversationRole;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseResponse;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseStreamResponseHandler;
import software.amazon.awssdk.services.bedrockruntime.model.GuardrailAction;
import software.amazon.awssdk.services.bedrockruntime.model.InvokeModelWithResponseStreamResponseHandler;
import software.amazon.awssdk.services.bedrockruntime.model.Message;
import software.amazon.awssdk.services.bedrockruntime.model.ModelErrorException;
import software.amazon.awssdk.services.bedrockruntime.model.StopReason;
import software.amazon.awssdk.services.bedrockruntime.model.ThrottlingException;
import software.amazon.awssdk.services.bedrockruntime.model.TokenUsage;
import software.amazon.awssdk.services.bedrockruntime.model.ToolConfiguration;
import software.amazon.awssdk.services.bedrockruntime.model.ToolUseBlock;
import software.amazon.awssdk.services.bedrockruntime.model.ValidationException;
import software.amazon.awssdk.services.sts.StsClient;
import software.amazon.awssdk.services.sts.auth.StsAssumeRoleCredentialsProvider;
import software.amazon.awssdk.services.sts.model.Tag;

/**
 * Calls the emulator with the unmodified AWS SDK for Java 2: the synchronous client, and the
 * asynchronous one for streams. BEDROCK_EMULATOR_URL names the endpoint of the emulator.
 */
public final class Smoke {
    private static final String PROFILE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    private static final String MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    private static final String EMBEDDING = "amazon.titan-embed-text-v2:0";
    private static final String MESSAGES_BODY =
            "{\"anthropic_version\": \"bedrock-2023-05-31\", \"max_tokens\": 50,"
                    + " \"messages\": [{\"role\": \"user\", \"content\": \"Say hi\"}]}";
    private static final URI ENDPOINT = URI.create(System.getenv("BEDROCK_EMULATOR_URL"));
    private static final AwsCredentialsProvider KEYS =
            StaticCredentialsProvider.create(AwsBasicCredentials.create("EMULATOR", "emulator-secret-access-key"));

    private final BedrockRuntimeClient client = client(KEYS);
    private final BedrockRuntimeAsyncClient async = BedrockRuntimeAsyncClient.builder()
            .endpointOverride(ENDPOINT)
            .region(Region.US_EAST_1)
            .credentialsProvider(KEYS)
            .overrideConfiguration(options -> options.retryStrategy(DefaultRetryStrategy.doNotRetry()))
            .build();

    /** What a test of this program does. */
    private interface Test {
        void run() throws Exception;
    }

    /** The text of a stream and its usage. */
    private record Streamed(String text, TokenUsage usage) {}

    public static void main(String[] arguments) {
        Smoke smoke = new Smoke();
        Map<String, Test> tests = Map.of(
                "Converse and ConverseStream", smoke::converse,
                "a tool use", smoke::toolUse,
                "errors", smoke::errors,
                "CountTokens", smoke::countTokens,
                "InvokeModel", smoke::invokeModel,
                "InvokeModelWithResponseStream", smoke::invokeModelWithResponseStream,
                "ApplyGuardrail", smoke::applyGuardrail,
                "AssumeRole", smoke::assumeRole);
        int failed = 0;
        for (Map.Entry<String, Test> test : tests.entrySet()) {
            try {
                test.getValue().run();
            } catch (Exception | AssertionError error) {
                failed++;
                System.err.println(test.getKey() + ":");
                error.printStackTrace();
            }
        }
        smoke.async.close();
        smoke.client.close();
        System.out.printf("%d passed, %d failed%n", tests.size() - failed, failed);
        System.exit(failed == 0 ? 0 : 1);
    }

    /** Every call is made once, so that a retry hides no failure. */
    private static BedrockRuntimeClient client(AwsCredentialsProvider credentials) {
        return BedrockRuntimeClient.builder()
                .endpointOverride(ENDPOINT)
                .region(Region.US_EAST_1)
                .credentialsProvider(credentials)
                .overrideConfiguration(options -> options.retryStrategy(DefaultRetryStrategy.doNotRetry()))
                .build();
    }

    private static void equal(String what, Object got, Object want) {
        check(Objects.equals(got, want), what + ": got " + got + ", want " + want);
    }

    private static void check(boolean holds, String problem) {
        if (!holds) {
            throw new AssertionError(problem);
        }
    }

    private static <E extends Throwable> E fails(Class<E> kind, Test call) {
        try {
            call.run();
        } catch (Throwable error) {
            Throwable cause = error instanceof CompletionException ? error.getCause() : error;
            if (kind.isInstance(cause)) {
                return kind.cast(cause);
            }
            throw new AssertionError("not a " + kind.getSimpleName(), cause);
        }
        throw new AssertionError("did not fail with " + kind.getSimpleName());
    }

    private static Message say(String text) {
        return Message.builder().role(ConversationRole.USER).content(ContentBlock.fromText(text)).build();
    }

    private Streamed streamed(String modelId) {
        StringBuilder text = new StringBuilder();
        List<TokenUsage> usage = new ArrayList<>();
        return streamed(modelId, text, usage);
    }

    private Streamed streamed(String modelId, StringBuilder text, List<TokenUsage> usage) {
        var visitor = ConverseStreamResponseHandler.Visitor.builder()
                .onContentBlockDelta(event -> text.append(Objects.requireNonNullElse(event.delta().text(), "")))
                .onMetadata(event -> usage.add(event.usage()))
                .build();
        async.converseStream(
                        request -> request.modelId(modelId).messages(say("Say hi to Java")),
                        ConverseStreamResponseHandler.builder().subscriber(visitor).build())
                .join();
        equal("metadata events", usage.size(), 1);
        return new Streamed(text.toString(), usage.get(0));
    }

    private void converse() {
        ConverseResponse whole =
                client.converse(request -> request.modelId(PROFILE).messages(say("Say hi to Java")));
        equal("stop reason", whole.stopReason(), StopReason.END_TURN);
        Streamed streamed = streamed(PROFILE);
        equal("streamed text", streamed.text(), whole.output().message().content().get(0).text());
        equal("tokens", streamed.usage().totalTokens(), whole.usage().inputTokens() + whole.usage().outputTokens());
    }

    private void toolUse() {
        Document schema = Document.mapBuilder()
                .putString("type", "object")
                .putMap("properties", all -> all.putMap("city", city -> city.putString("type", "string")))
                .putList("required", all -> all.addString("city"))
                .build();
        ToolConfiguration tools = ToolConfiguration.builder()
                .tools(tool -> tool.toolSpec(spec -> spec.name("weather").inputSchema(input -> input.json(schema))))
                .toolChoice(choice -> choice.any(any -> {}))
                .build();
        ConverseResponse answer = client.converse(request ->
                request.modelId(PROFILE).messages(say("What is the weather in Paris?")).toolConfig(tools));
        equal("stop reason", answer.stopReason(), StopReason.TOOL_USE);
        List<ContentBlock> content = answer.output().message().content();
        ToolUseBlock use = content.get(content.size() - 1).toolUse();
        equal("tool", use.name(), "weather");
        check(!use.input().asMap().get("city").asString().isEmpty(), "the tool's input has no city: " + use.input());
    }

    private void errors() {
        ModelErrorException failed = fails(ModelErrorException.class, () -> client.converse(request ->
                request.modelId(PROFILE + ".fault-model-error").messages(say("Hi"))));
        equal("original status", failed.originalStatusCode(), 500);
        StringBuilder text = new StringBuilder();
        fails(ThrottlingException.class,
                () -> streamed(PROFILE + ".fault-stream-throttling-after-1", text, new ArrayList<>()));
        check(!text.isEmpty(), "no text before the error");
    }

    private void countTokens() {
        int counted = client.countTokens(request ->
                        request.modelId(MODEL).input(input -> input.converse(body -> body.messages(say("Say hi to Java")))))
                .inputTokens();
        equal("input tokens", counted, streamed(PROFILE).usage().inputTokens());
        fails(ValidationException.class, () -> client.countTokens(request ->
                request.modelId(PROFILE).input(input -> input.converse(body -> body.messages(say("Hi"))))));
    }

    private JsonNode invoke(String modelId, String body) {
        SdkBytes answer = client.invokeModel(request -> request.modelId(modelId)
                        .contentType("application/json")
                        .body(SdkBytes.fromUtf8String(body)))
                .body();
        return JsonNode.parser().parse(answer.asInputStream());
    }

    private List<Double> embed(String text) {
        JsonNode answer = invoke(EMBEDDING, "{\"inputText\": \"" + text + "\", \"dimensions\": 256}");
        return answer.field("embedding").orElseThrow().asArray().stream()
                .map(number -> Double.valueOf(number.asNumber()))
                .toList();
    }

    private static double nearness(List<Double> one, List<Double> other) {
        double sum = 0;
        for (int i = 0; i < one.size(); i++) {
            sum += one.get(i) * other.get(i);
        }
        return sum;
    }

    private void invokeModel() {
        List<Double> question = embed("How do I reset my password?");
        equal("dimensions", question.size(), 256);
        double near = nearness(question, embed("Reset a forgotten password"));
        double far = nearness(question, embed("Opening hours of the canteen"));
        check(near > far + 0.2, "near " + near + ", far " + far);
    }

    private static String at(JsonNode node, String... path) {
        return node.field(path[0])
                .map(inner -> path.length == 1
                        ? inner.text()
                        : at(inner, java.util.Arrays.copyOfRange(path, 1, path.length)))
                .orElse("");
    }

    private void invokeModelWithResponseStream() {
        JsonNode whole = invoke(PROFILE, MESSAGES_BODY);
        List<JsonNode> chunks = new ArrayList<>();
        var visitor = InvokeModelWithResponseStreamResponseHandler.Visitor.builder()
                .onChunk(chunk -> chunks.add(
                        JsonNode.parser().parse(chunk.bytes().asString(StandardCharsets.UTF_8))))
                .build();
        async.invokeModelWithResponseStream(
                        request -> request.modelId(PROFILE)
                                .contentType("application/json")
                                .body(SdkBytes.fromUtf8String(MESSAGES_BODY)),
                        InvokeModelWithResponseStreamResponseHandler.builder().subscriber(visitor).build())
                .join();
        StringBuilder text = new StringBuilder();
        chunks.forEach(chunk -> text.append(at(chunk, "delta", "text")));
        equal("first chunk", at(chunks.get(0), "type"), "message_start");
        equal("last chunk", at(chunks.get(chunks.size() - 1), "type"), "message_stop");
        JsonNode block = whole.field("content").orElseThrow().asArray().get(0);
        equal("text", text.toString(), at(block, "text"));
    }

    private void applyGuardrail() {
        var answer = client.applyGuardrail(request -> request.guardrailIdentifier("gr1")
                .guardrailVersion("1")
                .source("OUTPUT")
                .content(content -> content.text(text -> text.text("Write to ann@example.com"))));
        equal("action", answer.action(), GuardrailAction.GUARDRAIL_INTERVENED);
        equal("output", answer.outputs().get(0).text(), "Write to {EMAIL}");
        var found = answer.assessments().get(0).sensitiveInformationPolicy().piiEntities().get(0);
        equal("match", found.match(), "ann@example.com");
    }

    private static StsClient sts(AwsCredentialsProvider credentials) {
        return StsClient.builder()
                .endpointOverride(ENDPOINT)
                .region(Region.US_EAST_1)
                .credentialsProvider(credentials)
                .overrideConfiguration(options -> options.retryStrategy(DefaultRetryStrategy.doNotRetry()))
                .build();
    }

    private void assumeRole() {
        try (StsClient own = sts(KEYS);
                StsAssumeRoleCredentialsProvider session = StsAssumeRoleCredentialsProvider.builder()
                        .stsClient(own)
                        .refreshRequest(request -> request.roleArn("arn:aws:iam::111122223333:role/research")
                                .roleSessionName("smoke-java")
                                .tags(Tag.builder().key("team").value("search").build()))
                        .build();
                StsClient assumed = sts(session);
                BedrockRuntimeClient runtime = client(session)) {
            var identity = assumed.getCallerIdentity();
            equal("account", identity.account(), "111122223333");
            equal("principal", identity.arn(), "arn:aws:sts::111122223333:assumed-role/research/smoke-java");
            runtime.converse(request -> request.modelId(PROFILE).messages(say("Hi")));
        }
    }
}
