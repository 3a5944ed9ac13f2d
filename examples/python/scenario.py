"""Runs every row of examples/scenarios.json and prints each result as a line of JSON.

tests/clients/run compares them.
"""

import json
import os
import pathlib
import time
from typing import Any

import grpc
from answer import Answer
from bedrock.inference.v1.error_pb2 import UpstreamPhase
from bedrock.inference.v1.inference_service_pb2 import InvokeRequest, StreamInvokeRequest
from connection import inference, models, open_channel
from conversation import conversation, png, text, tool, tool_result, user
from embedding import nearest
from failure import Failure


def run(address: str, file: str, *names: str) -> None:
    path = pathlib.Path(file)
    with open_channel(address) as channel:
        for row in json.loads(path.read_text())["rows"]:
            if names and row["name"] not in names:
                continue
            own = row.get("connection", {})
            if own.get("bare"):
                # The library's default, without what docs/clients.md recommends.
                with grpc.insecure_channel(address) as bare:
                    result = outcome(bare, row, path.parent)
            elif own:
                config = own.get("service_config")
                with open_channel(
                    os.environ[own["address"]] if "address" in own else address,
                    service_config=json.dumps(config) if config else None,
                    keepalive_seconds=own.get("keepalive_seconds", 30),
                ) as own_channel:
                    result = outcome(own_channel, row, path.parent)
            else:
                result = outcome(channel, row, path.parent)
            print(json.dumps({"row": row["name"], **result}), flush=True)


def outcome(channel: grpc.Channel, row: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    begun, answer, tool_calls = time.monotonic(), Answer(), []
    result: dict[str, Any] = {"code": "OK"}
    try:
        for _ in range(row.get("times", 1)):
            answer = Answer()
            answer = ask(channel, row, folder, answer, tool_calls)
    except grpc.RpcError as error:
        failure = Failure.of(error)
        result = {"code": failure.code.name, "reason": failure.reason, "fields": failure.fields}
        result["retry_delay_ms"] = failure.retry_delay_ms
        if failure.upstream:
            phase = UpstreamPhase.Name(failure.upstream.phase)
            result["upstream"] = {"exception": failure.upstream.exception, "phase": phase}
    if answer.usage:
        usage = answer.usage
        result["usage"] = [usage.input_tokens, usage.output_tokens, usage.total_tokens]
    result |= {"text": answer.text, "deltas": answer.deltas, "stop_reason": answer.stop_reason}
    return result | {"tool_calls": tool_calls, "took_ms": round((time.monotonic() - begun) * 1000)}


def ask(channel, row, folder, answer, tool_calls) -> Answer:
    if row.get("method") == "InvokeModel":
        answer.text = nearest(models(channel), row["target"], row["text"], row["nearest_of"])
        return answer

    client = inference(channel)
    blocks = [png((folder / row["image"]).read_bytes())] if "image" in row else []
    if "blank_images" in row:
        blocks += [png(bytes(row["blank_images"]["bytes"]))] * row["blank_images"]["count"]
    tools = [tool(t["name"], t["description"], t["input_schema"]) for t in row.get("tools", [])]
    asked = conversation(user(*blocks, text(row["text"])), tools=tools)
    # Finds the row's calls in the emulator's log.
    asked.request_metadata["row"] = row["name"]
    if "max_tokens" in row:
        asked.inference_config.max_tokens = row["max_tokens"]
    if "model_fields" in row:
        asked.additional_model_request_fields_json = json.dumps(row["model_fields"])
    timeout = row["deadline_ms"] / 1000 if "deadline_ms" in row else None

    if row.get("method") == "Invoke":
        reply = client.Invoke(InvokeRequest(target=row["target"], input=asked), timeout=timeout)
        answer.text = "".join(block.text for block in reply.message.content)
        answer.stop_reason, answer.usage = reply.stop_reason_name, reply.metadata.usage
        return answer

    while True:
        call = client.StreamInvoke(StreamInvokeRequest(target=row["target"], input=asked), timeout=timeout)
        answer.read(call, lambda _: call.cancel() if answer.deltas == row.get("cancel_after_deltas") else None)
        for use in answer.tool_uses:
            head = use.input_json[:20]
            tool_calls.append({"name": use.name, "input": head, "input_bytes": len(use.input_json.encode())})
        if answer.stop_reason != "tool_use":
            return answer
        results = {tool["name"]: tool["result"] for tool in row["tools"]}
        back = [tool_result(use.tool_use_id, results[use.name]) for use in answer.tool_uses]
        asked.messages.extend([answer.message(), user(*back)])
        answer = Answer()
