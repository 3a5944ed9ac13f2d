# To be sourced: `call` and helpers. Requests are JSON in protobuf's mapping, built with jq; the
# schema comes from the gateway by reflection.

GATEWAY_GRPC=${GATEWAY_GRPC:-localhost:50051}
SERVICE=bedrock.inference.v1.InferenceService

# Reads a request from standard input and prints events as JSON. A failure is printed as JSON on
# standard error; the exit code is 64 plus the gRPC code.
call() { # METHOD [FLAG OF GRPCURL]...
    local method=$1 headers=()
    shift
    # The file is replaced before the token expires, so each call reads it. The token is in a
    # variable because others on the machine can see the command line.
    if [ -n "${BEDROCK_GRPC_TOKEN_FILE:-}" ]; then
        TOKEN=$(cat "$BEDROCK_GRPC_TOKEN_FILE")
        export TOKEN
        # shellcheck disable=SC2016
        headers=(-expand-headers -H 'authorization: Bearer ${TOKEN}')
    fi
    grpcurl -plaintext -format-error -max-msg-sz $((32 << 20)) "${headers[@]}" "$@" -d @ "$GATEWAY_GRPC" "$SERVICE/$method"
}

# A question to a target.
request() { # TARGET TEXT
    jq -n --arg target "$1" --arg text "$2" '{$target, input: {messages: [{role: "ROLE_USER", content: [{$text}]}]}}'
}

# Adds an image before the question to the request on standard input. In JSON, and only there, bytes
# are base64.
with_image() { # FILE
    jq --rawfile bytes <(base64 -w 0 "$1") '.input.messages[0].content |= [{image: {format: "IMAGE_FORMAT_PNG", source: {$bytes}}}] + .'
}

# Adds a tool to the request on standard input. The schema is sent as text, so key order and numbers
# stay as they are here.
with_tool() { # NAME DESCRIPTION SCHEMA
    jq --arg name "$1" --arg description "$2" --arg json "$3" \
        '.input.toolConfig.tools += [{toolSpec: {$name, $description, inputSchema: {$json}}}]'
}
