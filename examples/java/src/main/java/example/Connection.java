package example;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/** A channel to the gateway, configured as docs/clients.md recommends. */
final class Connection {
  private static final Path SERVICE_CONFIG = Path.of("../service_config.json");
  private static final int MAX_ANSWER_BYTES = 32 << 20;

  private Connection() {}

  /** Use {@code dns:///NAME:PORT} of a headless Service to spread calls over its pods. */
  static ManagedChannel open(String address, String serviceConfig, Duration keepalive) {
    Map<String, ?> config = new Gson().fromJson(serviceConfig, new TypeToken<Map<String, ?>>() {});
    String tokenFile = System.getenv("BEDROCK_GRPC_TOKEN_FILE");
    return Grpc.newChannelBuilder(address, InsecureChannelCredentials.create())
        // Deadline, retries and round_robin.
        .defaultServiceConfig(config)
        // One delta of a tool's input, or an image, can be larger than the default of 4 MB.
        .maxInboundMessageSize(MAX_ANSWER_BYTES)
        // A dead connection is detected after both times together.
        .keepAliveTime(keepalive.toSeconds(), TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .keepAliveWithoutCalls(true)
        .intercept(tokenFile == null ? List.of() : List.of(new TokenFile(Path.of(tokenFile))))
        .build();
  }

  static ManagedChannel open(String address) throws IOException {
    return open(address, defaultServiceConfig(), Duration.ofSeconds(30));
  }

  static String defaultServiceConfig() throws IOException {
    return Files.readString(SERVICE_CONFIG);
  }

  /** Sends the token in a file, which is replaced before it expires: each call reads it. */
  private static final class TokenFile extends CallCredentials implements ClientInterceptor {
    private static final Metadata.Key<String> AUTHORIZATION = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    private final Path file;

    TokenFile(Path file) {
      this.file = file;
    }

    @Override
    public void applyRequestMetadata(RequestInfo info, Executor executor, MetadataApplier applier) {
      executor.execute(
          () -> {
            try {
              var headers = new Metadata();
              headers.put(AUTHORIZATION, "Bearer " + Files.readString(file).strip());
              applier.apply(headers);
            } catch (IOException error) {
              applier.fail(Status.UNAUTHENTICATED.withDescription("the token's file cannot be read").withCause(error));
            }
          });
    }

    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
      return next.newCall(method, options.withCallCredentials(this));
    }
  }
}
