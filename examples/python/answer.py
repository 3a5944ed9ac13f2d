"""A streamed answer, combined as it arrives."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bedrock.inference.v1 import content_pb2, event_pb2, inference_service_pb2, metadata_pb2, tool_pb2


@dataclass
class Answer:
    """What has arrived so far.

    It is complete when `usage` is set: `metadata` ends every successful stream.
    """

    text: str = ""
    deltas: int = 0
    # By index, which is their order.
    blocks: dict[int, content_pb2.ContentBlock] = field(default_factory=dict)
    stop_reason: str = ""
    usage: metadata_pb2.TokenUsage | None = None

    def read(
        self,
        events: Iterable[inference_service_pb2.StreamInvokeResponse],
        on_text: Callable[[str], None] = lambda _: None,
    ) -> "Answer":
        for event in events:
            match event.WhichOneof("event"):
                case "content_block_start" if event.content_block_start.HasField("tool_use"):
                    start = event.content_block_start
                    tool_use = tool_pb2.ToolUseBlock(tool_use_id=start.tool_use.tool_use_id, name=start.tool_use.name, input_json="")
                    self.blocks[start.content_block_index] = content_pb2.ContentBlock(tool_use=tool_use)
                case "content_block_delta":
                    delta = event.content_block_delta
                    block = self.blocks.setdefault(delta.content_block_index, content_pb2.ContentBlock())
                    match delta.WhichOneof("delta"):
                        case "text":
                            block.text += delta.text
                            self.text += delta.text
                            self.deltas += 1
                            on_text(delta.text)
                        case "tool_use":
                            # Fragments of JSON: parse them only when all have arrived.
                            block.tool_use.input_json += delta.tool_use.input
                        case "reasoning_content":
                            self._reason(block.reasoning_content, delta.reasoning_content)
                case "content_block_stop":
                    block = self.blocks.get(event.content_block_stop.content_block_index)
                    # A tool that takes no input gets no fragments.
                    if block and block.HasField("tool_use") and not block.tool_use.input_json:
                        block.tool_use.input_json = "{}"
                case "message_stop":
                    self.stop_reason = event.message_stop.stop_reason_name
                case "metadata":
                    self.usage = event.metadata.metadata.usage
                # Heartbeats, and events that a later version of the API adds.
        return self

    @staticmethod
    def _reason(block: content_pb2.ReasoningContentBlock, delta: event_pb2.ReasoningContentBlockDelta) -> None:
        match delta.WhichOneof("delta"):
            case "text":
                block.reasoning_text.text += delta.text
            case "signature":
                block.reasoning_text.signature += delta.signature
            case "redacted_content":
                block.redacted_content += delta.redacted_content

    @property
    def tool_uses(self) -> list[tool_pb2.ToolUseBlock]:
        return [block.tool_use for _, block in sorted(self.blocks.items()) if block.HasField("tool_use")]

    def message(self) -> content_pb2.Message:
        """The answer as a turn of the conversation, to send with the next request.

        It includes the reasoning, unchanged and in its place: Claude rejects a tool result
        without the signed reasoning before the tool use.
        """
        blocks = [block for _, block in sorted(self.blocks.items())]
        # Bedrock rejects empty texts.
        content = [block for block in blocks if block.WhichOneof("content") not in (None, "text") or block.text]
        return content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, content=content)
