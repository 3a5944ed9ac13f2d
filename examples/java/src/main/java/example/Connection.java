package example;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A channel to the gateway, configured as docs/clients.md recommends. */
final class Connection {
  private static final Path SERVICE_CONFIG = Path.of("../service_config.json");
  private static final int MAX_ANSWER_BYTES = 32 << 20;

  private Connection() {}

  /** Use {@code dns:///NAME:PORT} of a headless Service to spread calls over its pods. */
  static ManagedChannel open(String address, String serviceConfig, Duration keepalive) {
    Map<String, ?> config = new Gson().fromJson(serviceConfig, new TypeToken<Map<String, ?>>() {});
    return Grpc.newChannelBuilder(address, InsecureChannelCredentials.create())
        // Deadline, retries and round_robin.
        .defaultServiceConfig(config)
        // One delta of a tool's input, or an image, can be larger than the default of 4 MB.
        .maxInboundMessageSize(MAX_ANSWER_BYTES)
        // A dead connection is detected after both times together.
        .keepAliveTime(keepalive.toSeconds(), TimeUnit.SECONDS)
        .keepAliveTimeout(10, TimeUnit.SECONDS)
        .keepAliveWithoutCalls(true)
        .build();
  }

  static ManagedChannel open(String address) throws IOException {
    return open(address, defaultServiceConfig(), Duration.ofSeconds(30));
  }

  static String defaultServiceConfig() throws IOException {
    return Files.readString(SERVICE_CONFIG);
  }
}
