"""A streamed answer, put together while it comes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bedrock.inference.v1 import content_pb2, inference_service_pb2, metadata_pb2, tool_pb2


@dataclass
class Answer:
    """What has come so far. It is complete when `usage` is set: `metadata` ends every stream that is OK."""

    text: str = ""
    deltas: int = 0
    tool_uses: dict[int, tool_pb2.ToolUseBlock] = field(default_factory=dict)
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
                    self.tool_uses[start.content_block_index] = tool_pb2.ToolUseBlock(
                        tool_use_id=start.tool_use.tool_use_id, name=start.tool_use.name, input_json=""
                    )
                case "content_block_delta":
                    delta = event.content_block_delta
                    match delta.WhichOneof("delta"):
                        case "text":
                            self.text += delta.text
                            self.deltas += 1
                            on_text(delta.text)
                        case "tool_use":
                            # Fragments of JSON: they can be parsed only together.
                            self.tool_uses[delta.content_block_index].input_json += delta.tool_use.input
                case "content_block_stop":
                    tool_use = self.tool_uses.get(event.content_block_stop.content_block_index)
                    # A tool that takes no input gets no fragments.
                    if tool_use and not tool_use.input_json:
                        tool_use.input_json = "{}"
                case "message_stop":
                    self.stop_reason = event.message_stop.stop_reason_name
                case "metadata":
                    self.usage = event.metadata.metadata.usage
                # Heartbeats, and what a later version of the API brings.
        return self

    def message(self) -> content_pb2.Message:
        """The answer as a turn of the conversation, to be sent back with the next one."""
        blocks = [content_pb2.ContentBlock(text=self.text)] if self.text else []
        blocks.extend(content_pb2.ContentBlock(tool_use=tool_use) for tool_use in self.tool_uses.values())
        return content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, content=blocks)
