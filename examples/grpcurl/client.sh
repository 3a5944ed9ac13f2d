# Sourced: `call` and what it takes. Requests are JSON in protobuf's mapping, built by jq; the schema comes from the gateway by reflection.

GATEWAY_GRPC=${GATEWAY_GRPC:-localhost:50051}
SERVICE=bedrock.inference.v1.InferenceService

# A request on standard input, events as JSON on standard output; a failure as JSON on standard error, and the exit code 64 + gRPC's.
call() { # METHOD [FLAG OF GRPCURL]...
    local method=$1
    shift
    grpcurl -plaintext -format-error -max-msg-sz $((32 << 20)) "$@" -d @ "$GATEWAY_GRPC" "$SERVICE/$method"
}

# A question to a target.
request() { # TARGET TEXT
    jq -n --arg target "$1" --arg text "$2" '{$target, input: {messages: [{role: "ROLE_USER", content: [{$text}]}]}}'
}

# The request on standard input with a picture before the question. bytes are base64 in JSON, and only there.
with_image() { # FILE
    jq --rawfile bytes <(base64 -w 0 "$1") '.input.messages[0].content |= [{image: {format: "IMAGE_FORMAT_PNG", source: {$bytes}}}] + .'
}

# The request on standard input with a tool. The schema is sent as text: key order and numbers stay as they are here.
with_tool() { # NAME DESCRIPTION SCHEMA
    jq --arg name "$1" --arg description "$2" --arg json "$3" \
        '.input.toolConfig.tools += [{toolSpec: {$name, $description, inputSchema: {$json}}}]'
}
