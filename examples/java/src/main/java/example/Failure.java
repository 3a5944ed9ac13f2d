package example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.github.bedrockgrpc.inference.v1.UpstreamError;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;

/**

 * The content of a failed call: a code, a stable reason, when to retry, and Bedrock's own error.

 * The last two can be null.

 */
record Failure(Status.Code code, String message, String reason, List<String> fields, Duration retryDelay, UpstreamError upstream) {
  static Failure of(StatusRuntimeException error) throws InvalidProtocolBufferException {
    String reason = "";
    List<String> fields = List.of();
    Duration retryDelay = null;
    UpstreamError upstream = null;
    // A cancel or deadline of the client itself has no details, because the gateway is not
    // involved.
    for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        reason = detail.unpack(ErrorInfo.class).getReason();
      } else if (detail.is(RetryInfo.class)) {
        var delay = detail.unpack(RetryInfo.class).getRetryDelay();
        retryDelay = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
      } else if (detail.is(BadRequest.class)) {
        fields = detail.unpack(BadRequest.class).getFieldViolationsList().stream().map(BadRequest.FieldViolation::getField).toList();
      } else if (detail.is(UpstreamError.class)) {
        upstream = detail.unpack(UpstreamError.class);
      }
    }
    return new Failure(error.getStatus().getCode(), error.getStatus().getDescription(), reason, fields, retryDelay, upstream);
  }

  @Override
  public String toString() {
    var said = new StringBuilder("%s %s: %s".formatted(code, reason, message));
    if (retryDelay != null) {
      said.append("\n  try again in %d ms".formatted(retryDelay.toMillis()));
    }
    if (upstream != null) {
      said.append("\n  Bedrock: %s (%s), request %s".formatted(upstream.getException(), upstream.getPhase(), upstream.getBedrockRequestId()));
    }
    return said.toString();
  }
}
