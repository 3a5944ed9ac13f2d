# The content of a failed call: a code, a stable reason, when to retry, and Bedrock's own error.
def code_name:
    ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
     "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
     "UNAUTHENTICATED"][.];

def detail(name): .details // [] | map(select(.["@type"] | endswith("/" + name))) | first // empty;

def failure:
    {
        code: .code | code_name,
        message,
        reason: ([detail("google.rpc.ErrorInfo") | .reason] | first // ""),
        fields: ([detail("google.rpc.BadRequest") | [.fieldViolations[].field]] | first // [] | unique),
        retry_delay_ms: ([detail("google.rpc.RetryInfo") | .retryDelay // empty | rtrimstr("s") | tonumber * 1000] | first),
        upstream: ([detail("bedrock.inference.v1.UpstreamError") | {exception, phase}] | first)
    };
