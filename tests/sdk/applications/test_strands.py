"""Strands Agents: an agent that streams and calls a tool."""

import asyncio

from conftest import LONG, MODEL, QUESTION, REGION, URL
from pydantic import BaseModel
from strands import Agent, tool
from strands.models import BedrockModel


@tool
def weather(city: str) -> str:
    """The weather in a city.

    Args:
        city: The name of the city.
    """
    return f"It rains in {city}."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def agent(streaming=True, **options):
    model = BedrockModel(model_id=MODEL, region_name=REGION, endpoint_url=URL, streaming=streaming)
    return Agent(model=model, callback_handler=None, **options)


def text_of(result):
    return "".join(block.get("text", "") for block in result.message["content"])


def test_text(calls):
    result = agent(streaming=False)(QUESTION)
    assert result.stop_reason == "end_turn"
    assert text_of(result)
    assert result.metrics.accumulated_usage["outputTokens"] > 0
    calls.bodies("Converse")


def test_stream(calls):
    async def stream():
        return [event["data"] async for event in agent().stream_async(QUESTION) if "data" in event]

    deltas = asyncio.run(stream())
    assert len(deltas) > 3
    assert "".join(deltas) == text_of(agent(streaming=False)(QUESTION))
    calls.bodies("ConverseStream")


def test_tool():
    asked = agent(tools=[weather])
    result = asked(QUESTION)
    assert result.stop_reason == "end_turn"
    uses = [block["toolUse"] for message in asked.messages for block in message["content"] if "toolUse" in block]
    assert [(use["name"], use["input"]) for use in uses] == [("weather", {"city": "Paris"})]
    assert "rains" in text_of(result)


def test_structured_output():
    result = agent()("Ann is 42 years old.", structured_output_model=Person)
    assert isinstance(result.structured_output, Person)


def test_prompt_caching(calls):
    system = [{"text": LONG + "Strands"}, {"cachePoint": {"type": "default"}}]
    usage = [agent(system_prompt=system)(QUESTION).metrics.accumulated_usage for _ in range(2)]
    assert calls.bodies("ConverseStream")[0]["system"] == system
    assert usage[0]["cacheWriteInputTokens"] > 1000
    assert usage[1]["cacheReadInputTokens"] > 1000
