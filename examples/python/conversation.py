"""The input: messages, images, tools."""

import json
from typing import Any

from bedrock.inference.v1 import content_pb2, converse_pb2, media_pb2, tool_pb2


def user(*blocks: content_pb2.ContentBlock) -> content_pb2.Message:
    return content_pb2.Message(role=content_pb2.ROLE_USER, content=blocks)


def text(text: str) -> content_pb2.ContentBlock:
    return content_pb2.ContentBlock(text=text)


def png(data: bytes) -> content_pb2.ContentBlock:
    """The raw bytes of the file, not base64."""
    source = media_pb2.MediaSource(bytes=data)
    return content_pb2.ContentBlock(image=media_pb2.ImageBlock(format=media_pb2.IMAGE_FORMAT_PNG, source=source))


def tool(name: str, description: str, input_schema: dict[str, Any]) -> tool_pb2.Tool:
    """The schema is a dict, which keeps its key order.

    It reaches the model as this text, so prompt caches hit.
    """
    schema = tool_pb2.ToolInputSchema(json=json.dumps(input_schema))
    return tool_pb2.Tool(tool_spec=tool_pb2.ToolSpecification(name=name, description=description, input_schema=schema))


def tool_result(tool_use_id: str, result: Any) -> content_pb2.ContentBlock:
    content = [tool_pb2.ToolResultContentBlock(json=json.dumps(result))]
    return content_pb2.ContentBlock(tool_result=tool_pb2.ToolResultBlock(tool_use_id=tool_use_id, content=content))


def conversation(*messages: content_pb2.Message, tools: list[tool_pb2.Tool] | None = None) -> converse_pb2.ConverseInput:
    asked = converse_pb2.ConverseInput(messages=messages)
    if tools:
        asked.tool_config.tools.extend(tools)
    return asked
