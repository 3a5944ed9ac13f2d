# Events, slurped: what came of them, in all.
def answer:
    (map(.contentBlockStart // empty | select(.toolUse)) | map({key: "\(.contentBlockIndex // 0)", value: .toolUse})) as $starts
    | {
        text: (map(.contentBlockDelta.text // empty) | add // ""),
        deltas: (map(select(.contentBlockDelta.text)) | length),
        stop_reason: (map(.messageStop.stopReasonName // empty) | first // ""),
        usage: (map(.metadata.metadata.usage // empty) | first),
        tool_uses: [
            $starts[] as {$key, $value}
            # Fragments of JSON: they can be parsed only together.
            | [.[].contentBlockDelta // empty | select(.toolUse and "\(.contentBlockIndex // 0)" == $key) | .toolUse.input // ""]
            | {id: $value.toolUseId, name: $value.name, input: (add // "" | if . == "" then "{}" else . end)}
        ]
    };

# The answer as a turn of the conversation, to be sent back with the next one.
def message:
    {role: "ROLE_ASSISTANT", content: (
        (if .text == "" then [] else [{text}] end)
        + [.tool_uses[] | {toolUse: {toolUseId: .id, name, inputJson: .input}}]
    )};

def tool_result(id; result): {toolResult: {toolUseId: id, content: [{json: (result | tojson)}]}};
