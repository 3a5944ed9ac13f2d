"""pydantic-ai: an agent with a tool and typed output."""

import asyncio

import pytest
from conftest import LONG, MODEL, QUESTION, REGION, URL
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.bedrock import BedrockConverseModel, BedrockModelSettings
from pydantic_ai.providers.bedrock import BedrockProvider
from pydantic_ai.usage import UsageLimits


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def agent(**options):
    provider = BedrockProvider(region_name=REGION, base_url=URL)
    return Agent(BedrockConverseModel(MODEL, provider=provider), **options)


def test_text(calls):
    result = agent().run_sync(QUESTION)
    assert result.output
    assert result.usage.output_tokens > 0
    # This framework streams even if the application doesn't.
    calls.bodies("ConverseStream")


def test_stream(calls):
    async def stream():
        async with agent().run_stream(QUESTION) as result:
            return [delta async for delta in result.stream_text(delta=True, debounce_by=None)]

    deltas = asyncio.run(stream())
    assert len(deltas) > 3
    assert "".join(deltas) == agent().run_sync(QUESTION).output
    calls.bodies("ConverseStream")


def test_tool():
    asked = agent()

    @asked.tool_plain
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"It rains in {city}."

    result = asked.run_sync(QUESTION)
    parts = [part for message in result.all_messages() for part in message.parts]
    [call] = [part for part in parts if isinstance(part, ToolCallPart)]
    assert (call.tool_name, call.args_as_dict()) == ("weather", {"city": "Paris"})
    assert "rains" in result.output


def test_structured_output():
    person = agent(output_type=Person).run_sync("Ann is 42 years old.").output
    assert isinstance(person, Person)
    assert person.name == "Ann"


def test_prompt_caching(calls):
    settings = BedrockModelSettings(bedrock_cache_instructions=True)
    asked = agent(instructions=LONG + "pydantic-ai", model_settings=settings)
    usage = [asked.run_sync(QUESTION).usage for _ in range(2)]
    assert {"cachePoint": {"type": "default"}} in calls.bodies("ConverseStream")[0]["system"]
    assert usage[0].cache_write_tokens > 1000
    assert usage[1].cache_read_tokens > 1000


def test_tokens_are_counted_before_the_call(calls):
    limits = UsageLimits(input_tokens_limit=1, count_tokens_before_request=True)
    with pytest.raises(UsageLimitExceeded):
        agent().run_sync(QUESTION, usage_limits=limits)
    calls.bodies("CountTokens")
