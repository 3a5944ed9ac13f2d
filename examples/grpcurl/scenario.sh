#!/usr/bin/env bash
# Runs the rows of examples/scenarios.json and prints the result of each as one line of JSON:
# ./scenario.sh FILE [ROW]... tests/clients/run compares the results.
set -euo pipefail
file=$(realpath "$1")
shift
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./client.sh
. ./embedding.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One call of a row: reads $work/request, writes events to $work/events, a failure to $work/failure.
ask() {
    local flags=() cancel_after texts
    if [ "$method" = InvokeModel ]; then
        readarray -t texts < <(jq -r '.target, .text, .nearest_of[]' <<<"$row")
        nearest "${texts[@]}" >"$work/events" 2>"$work/failure" || true
        return
    fi
    if [ "$(get .deadline_ms)" != null ]; then
        flags+=(-max-time "$(get '.deadline_ms / 1000')")
    fi
    cancel_after=$(get .cancel_after_deltas)
    if [ "$cancel_after" = null ]; then
        call "$method" "${flags[@]}" <"$work/request" >"$work/events" 2>"$work/failure" || true
        return
    fi
    # Ending the process ends the call.
    mkfifo "$work/pipe"
    grpcurl -plaintext -d @ "$GATEWAY_GRPC" "$SERVICE/$method" <"$work/request" >"$work/pipe" &
    local pid=$!
    jq --unbuffered -c . <"$work/pipe" | while IFS= read -r event; do
        echo "$event" >>"$work/events"
        [ "$(grep -c '"contentBlockDelta"' "$work/events")" -lt "$cancel_after" ] || kill "$pid" 2>/dev/null || true
    done
    wait "$pid" || true
    echo '{"code": 1, "message": "terminated"}' >"$work/failure"
}

get() {
    jq -c "$1" <<<"$row"
}

gateway=$GATEWAY_GRPC
jq -c '.rows[]' "$file" | while IFS= read -r row; do
    name=$(get .name | tr -d '"')
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    method=$(get '.method // "StreamInvoke"' | tr -d '"')
    own=$(get '.connection.address // "gateway"' | tr -d '"')
    GATEWAY_GRPC=${!own}
    : >"$work/events"
    : >"$work/failure"
    # Finds the row's calls in the emulator's log.
    jq -c '{target, input: ({
        messages: [{role: "ROLE_USER", content: [{text}]}],
        requestMetadata: {row: .name}
    } + if .max_tokens then {inferenceConfig: {maxTokens: .max_tokens}} else {} end
      + if .model_fields then {additionalModelRequestFieldsJson: (.model_fields | tojson)} else {} end)}' <<<"$row" >"$work/request"
    if [ "$(get .image)" != null ]; then
        with_image "$(dirname "$file")/$(get .image | tr -d '"')" <"$work/request" >"$work/with"
        mv "$work/with" "$work/request"
    fi
    for _ in $(seq "$(get '.blank_images.count // 0')"); do
        head -c "$(get .blank_images.bytes)" /dev/zero >"$work/blank"
        with_image "$work/blank" <"$work/request" >"$work/with"
        mv "$work/with" "$work/request"
    done
    while IFS= read -r tool; do
        with_tool "$(jq -r .name <<<"$tool")" "$(jq -r .description <<<"$tool")" "$(jq -c .input_schema <<<"$tool")" \
            <"$work/request" >"$work/with"
        mv "$work/with" "$work/request"
    done < <(get '.tools[]?')

    begun=$(date +%s%3N)
    calls='[]'
    for _ in $(seq 2 "$(get '.times // 1')"); do
        ask
    done
    while :; do
        ask
        if [ "$method" = InvokeModel ]; then
            answered=$(jq -R -s '{text: rtrimstr("\n"), stop_reason: ""}' "$work/events")
        elif [ "$method" = Invoke ]; then
            answered=$(jq -s 'map({text: [.message.content[]?.text] | join(""), stop_reason: .stopReasonName, usage: .metadata.usage}) | first // {}' "$work/events")
        else
            answered=$(jq -s -L . 'include "answer"; answer' "$work/events")
        fi
        calls=$(jq -c --argjson calls "$calls" '$calls + [.tool_uses[]? | {name, input: .input[:20], input_bytes: (.input | utf8bytelength)}]' <<<"$answered")
        [ "$(jq -r .stop_reason <<<"$answered")" = tool_use ] || break
        jq -c -L . --argjson answer "$answered" --argjson row "$row" 'include "answer";
            ($row.tools | map({key: .name, value: .result}) | from_entries) as $results
            | .input.messages += [
                ($answer | message),
                {role: "ROLE_USER", content: [$answer.tool_uses[] | tool_result(.id; $results[.name])]}
            ]' "$work/request" >"$work/with"
        mv "$work/with" "$work/request"
    done
    took=$(($(date +%s%3N) - begun))
    failed=$(jq -c -L . 'include "failure"; failure' "$work/failure")
    jq -c --arg row "$name" --argjson calls "$calls" --argjson took "$took" --argjson failed "${failed:-"{\"code\": \"OK\"}"}" \
        '{$row} + del(.tool_uses, .blocks) + {tool_calls: $calls, usage: (.usage // {} | [.inputTokens, .outputTokens, .totalTokens]), took_ms: $took} + $failed' <<<"$answered"
done
