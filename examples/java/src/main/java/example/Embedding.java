package example;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import com.google.protobuf.ByteString;
import io.github.bedrockgrpc.inference.v1.InvokeModelRequest;
import io.github.bedrockgrpc.inference.v1.ModelServiceGrpc.ModelServiceBlockingStub;
import java.util.List;

/**
 * Embeddings of texts: a call in the model's own format, here that of Titan Text Embeddings V2.
 */
final class Embedding {
  private record TitanAnswer(double[] embedding) {}

  private Embedding() {}

  static double[] of(ModelServiceBlockingStub client, String target, String text) {
    var body = new JsonObject();
    body.addProperty("inputText", text);
    body.addProperty("dimensions", 256);
    body.addProperty("normalize", true);
    var request = InvokeModelRequest.newBuilder().setTarget(target).setBody(ByteString.copyFromUtf8(body.toString()));
    var reply = client.invokeModel(request.build());
    return new Gson().fromJson(reply.getBody().toStringUtf8(), TitanAnswer.class).embedding();
  }

  /** The one of the others whose meaning is nearest to the text's. Makes one call for each text. */
  static String nearest(ModelServiceBlockingStub client, String target, String text, List<String> others) {
    var wanted = of(client, target, text);
    var best = Double.NEGATIVE_INFINITY;
    var found = "";
    for (var other : others) {
      var similarity = similarity(wanted, of(client, target, other));
      if (similarity > best) {
        best = similarity;
        found = other;
      }
    }
    return found;
  }

  /** The cosine similarity. Normalized vectors have length 1, so it is their dot product. */
  private static double similarity(double[] a, double[] b) {
    var sum = 0.0;
    for (int n = 0; n < a.length; n++) {
      sum += a[n] * b[n];
    }
    return sum;
  }
}
