"""LiteLLM: OpenAI's format on Bedrock's Converse."""

import json

import litellm
from conftest import LONG, MODEL, QUESTION, URL

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def complete(messages, **options):
    return litellm.completion(
        model=f"bedrock/converse/{MODEL}",
        messages=messages,
        aws_bedrock_runtime_endpoint=URL,
        num_retries=0,
        **options,
    )


def ask(text):
    return [{"role": "user", "content": text}]


def test_text():
    answer = complete(ask(QUESTION))
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream(calls):
    chunks = list(complete(ask(QUESTION), stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == complete(ask(QUESTION)).choices[0].message.content
    assert chunks[-1].usage.completion_tokens > 0
    calls.bodies("ConverseStream")


def test_tool():
    messages = ask(QUESTION)
    answer = complete(messages, tools=[WEATHER])
    assert answer.choices[0].finish_reason == "tool_calls"
    message = answer.choices[0].message
    [call] = message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"})
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "It rains in Paris."}]
    answer = complete(messages, tools=[WEATHER])
    assert answer.choices[0].finish_reason == "stop"
    assert "rains" in answer.choices[0].message.content


def test_streamed_tool():
    chunks = list(complete(ask(QUESTION), tools=[WEATHER], stream=True))
    answer = litellm.stream_chunk_builder(chunks)
    [call] = answer.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Paris"}


def test_structured_output():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    answer = complete(ask("Ann is 42 years old."), response_format=form)
    person = json.loads(answer.choices[0].message.content)
    assert (set(person), type(person["name"]), type(person["age"])) == ({"name", "age"}, str, int)


def test_prompt_caching(calls):
    system = {"type": "text", "text": LONG + "LiteLLM", "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "system", "content": [system]}, *ask(QUESTION)]
    written, read = (complete(messages).usage for _ in range(2))
    assert calls.bodies("Converse")[0]["system"][1] == {"cachePoint": {"type": "default"}}
    assert written.cache_creation_input_tokens > 1000
    assert read.cache_read_input_tokens > 1000


def test_embedding():
    answer = litellm.embedding(
        model="bedrock/amazon.titan-embed-text-v2:0",
        input=["How do I reset my password?"],
        aws_bedrock_runtime_endpoint=URL,
    )
    assert len(answer.data[0]["embedding"]) == 1024
