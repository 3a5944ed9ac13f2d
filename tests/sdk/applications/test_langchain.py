"""langchain-aws: ChatBedrockConverse."""

from conftest import LONG, MODEL, QUESTION, REGION, URL
from langchain_aws import BedrockEmbeddings, ChatBedrockConverse
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"It rains in {city}."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def model():
    return ChatBedrockConverse(model=MODEL, region_name=REGION, endpoint_url=URL)


def test_text():
    answer = model().invoke(QUESTION)
    assert answer.text
    assert answer.response_metadata["stopReason"] == "end_turn"
    assert answer.usage_metadata["total_tokens"] > 0


def test_stream(calls):
    whole = AIMessageChunk("")
    chunks = 0
    for chunk in model().stream(QUESTION):
        whole += chunk
        chunks += 1
    assert chunks > 3
    assert whole.text == model().invoke(QUESTION).text
    assert whole.usage_metadata["output_tokens"] > 0
    calls.bodies("ConverseStream")


def test_tool():
    chat = model().bind_tools([weather])
    messages = [HumanMessage(QUESTION)]
    messages.append(chat.invoke(messages))
    [call] = messages[-1].tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Paris"})
    messages.append(ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]))
    answer = chat.invoke(messages)
    assert not answer.tool_calls
    assert "rains" in answer.text


def test_structured_output():
    person = model().with_structured_output(Person).invoke("Ann is 42 years old.")
    assert isinstance(person, Person)
    assert person.name == "Ann"


def test_prompt_caching(calls):
    system = SystemMessage([{"type": "text", "text": LONG}, ChatBedrockConverse.create_cache_point()])
    details = [
        model().invoke([system, HumanMessage(QUESTION)]).usage_metadata["input_token_details"] for _ in range(2)
    ]
    assert calls.bodies("Converse")[0]["system"][1] == {"cachePoint": {"type": "default"}}
    assert details[0]["ephemeral_5m_input_tokens"] > 1000
    assert details[1]["cache_read"] > 1000


def test_embeddings():
    embeddings = BedrockEmbeddings(model_id="amazon.titan-embed-text-v2:0", region_name=REGION, endpoint_url=URL)
    question = embeddings.embed_query("How do I reset my password?")
    near, far = embeddings.embed_documents(["Reset a forgotten password", "Opening hours of the canteen"])
    nearness = lambda other: sum(a * b for a, b in zip(question, other))
    assert nearness(near) > nearness(far) + 0.2
