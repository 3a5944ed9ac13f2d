# Combines the events of a stream (with `jq --slurp`) into the answer.
def answer:
    (map(.contentBlockStart // empty | select(.toolUse)) | map({key: "\(.contentBlockIndex // 0)", value: .toolUse}) | from_entries) as $tools
    | [.[].contentBlockDelta // empty] as $deltas
    | {
        text: ($deltas | map(.text // empty) | add // ""),
        deltas: ($deltas | map(select(.text)) | length),
        stop_reason: (map(.messageStop.stopReasonName // empty) | first // ""),
        usage: (map(.metadata.metadata.usage // empty) | first),
        # The content blocks in their order.
        blocks: [
            # A tool that takes no input may have no deltas.
            ($deltas | map(.contentBlockIndex // 0)) + ($tools | keys | map(tonumber)) | unique[]
            | . as $index
            | $deltas | map(select((.contentBlockIndex // 0) == $index))
            | {
                toolUse: $tools["\($index)"],
                text: (map(.text // empty) | add // ""),
                # The fragments of JSON can be parsed only together.
                input: (map(.toolUse.input // empty) | add // "" | if . == "" then "{}" else . end),
                reasoning: (map(.reasoningContent.text // empty) | add // ""),
                signature: (map(.reasoningContent.signature // empty) | add // ""),
                redacted: (map(.reasoningContent.redactedContent // empty) | first)
            }
        ]
    }
    | .tool_uses = [.blocks[] | select(.toolUse) | {id: .toolUse.toolUseId, name: .toolUse.name, input}];

# The answer as a turn of the conversation, to be sent back with the next one. Reasoning goes back, too, unchanged and in its place: Claude
# refuses a tool's result without the signed reasoning before the call. Empty texts don't: Bedrock refuses them.
def message:
    {role: "ROLE_ASSISTANT", content: [
        .blocks[]
        | if .toolUse then {toolUse: {toolUseId: .toolUse.toolUseId, name: .toolUse.name, inputJson: .input}}
          elif .redacted then {reasoningContent: {redactedContent: .redacted}}
          elif .reasoning != "" or .signature != "" then
              {reasoningContent: {reasoningText: ({text: .reasoning} + if .signature == "" then {} else {signature} end)}}
          elif .text != "" then {text}
          else empty end
    ]};

def tool_result(id; result): {toolResult: {toolUseId: id, content: [{json: (result | tojson)}]}};
