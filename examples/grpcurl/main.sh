#!/usr/bin/env bash
# A client of bedrock-grpc in the shell: ./main.sh stream|cancel|deadline|tools|image|embed|errors
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./client.sh
. ./embedding.sh

# A model that is slow, or fails: `bedrock-grpc emulate --help` lists all faults.
fault=us.amazon.nova-lite-v1:0.fault-

show() { # prints the tokens of the events on standard input
    jq --unbuffered -j '.contentBlockDelta.text // empty'
}

stream() { # streaming
    request claude 'Why is the sky blue?' | call StreamInvoke | show
    echo
}

cancel() { # stop after three tokens: the gateway closes the call to Bedrock, and the model can stop
    request claude 'Count to 100' | call StreamInvoke | show | head -c 4 || true
    echo
}

deadline() { # allow one second for the whole call; output that arrived until then is kept
    request "${fault}stall-after-3" 'Count to 100' | call StreamInvoke -max-time 1 | show || true
    echo
}

tools() { # the model uses a tool, the client runs it, the model continues
    local schema='{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}'
    local asked answered
    asked=$(request claude 'What is the weather in Paris?' | with_tool get_weather 'The weather in a city' "$schema")
    while :; do
        answered=$(call StreamInvoke <<<"$asked" | jq -s -L . 'include "answer"; answer')
        jq -r '.text, (.tool_uses[] | "[\(.name) \(.input)]")' <<<"$answered"
        [ "$(jq -r .stop_reason <<<"$answered")" = tool_use ] || break
        asked=$(jq -L . --argjson answer "$answered" 'include "answer";
            .input.messages += [
                ($answer | message),
                {role: "ROLE_USER", content: [$answer.tool_uses[] | tool_result(.id; {city: (.input | fromjson.city), celsius: 21})]}
            ]' <<<"$asked")
    done
}

image() { # send an image with the question
    request claude 'What is this?' | with_image ../image.png | call StreamInvoke | show
    echo
}

embed() { # print which of two texts is nearer to a third one
    nearest embed 'ships look for the lighthouse' 'quarterly tax report' 'a lighthouse by the sea'
}

errors() { # a rate limit, an error in mid-stream, and an invalid request
    for target in "${fault}throttling-x-amz-retry-after" "${fault}stream-model-stream-error-after-3" claud; do
        { request "$target" 'Count to 10' | call StreamInvoke 2>&1 >/dev/null || true; } | jq -L . 'include "failure"; failure'
    done
}

"${1:-stream}"
