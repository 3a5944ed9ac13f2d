"""The emulator from the view of an unmodified boto3.

BEDROCK_EMULATOR_URL and BEDROCK_EMULATOR_TLS_URL name its endpoints, BEDROCK_EMULATOR_CA the authority to trust.
"""

import json
import os
import urllib.request
import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

URL = os.environ["BEDROCK_EMULATOR_URL"]
TLS_URL = os.environ["BEDROCK_EMULATOR_TLS_URL"]
CA = os.environ["BEDROCK_EMULATOR_CA"]
MODEL = "us.amazon.nova-lite-v1:0"
HELLO = [{"role": "user", "content": [{"text": "Say hi to boto3"}]}]


def client(service, region="us-east-1", secret="emulator-secret-access-key"):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=URL,
        aws_access_key_id="EMULATOR",
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )


@pytest.fixture(scope="module")
def runtime():
    return client("bedrock-runtime")


@pytest.fixture(scope="module")
def control():
    return client("bedrock")


def stream(runtime, model):
    return list(runtime.converse_stream(modelId=model, messages=HELLO)["stream"])


def text_of(events):
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    return "".join(delta.get("text", "") for delta in deltas)


def test_converse_stream(runtime):
    events = stream(runtime, MODEL)
    names = [next(iter(event)) for event in events]
    assert names[0] == "messageStart"
    assert names[-2:] == ["messageStop", "metadata"]
    assert text_of(events)
    usage = events[-1]["metadata"]["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]


def test_converse_gives_the_same_text(runtime):
    answer = runtime.converse(modelId=MODEL, messages=HELLO)
    assert answer["output"]["message"]["role"] == "assistant"
    assert answer["output"]["message"]["content"][0]["text"] == text_of(stream(runtime, MODEL))
    assert answer["stopReason"] == "end_turn"
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


def test_converse_by_profile_arn(runtime, control):
    arn = control.get_inference_profile(inferenceProfileIdentifier=MODEL)["inferenceProfileArn"]
    assert runtime.converse(modelId=arn, messages=HELLO)["stopReason"] == "end_turn"


def test_list_inference_profiles_by_pages(control):
    whole = control.list_inference_profiles(maxResults=1000)["inferenceProfileSummaries"]
    pages = control.get_paginator("list_inference_profiles").paginate(PaginationConfig={"PageSize": 3})
    pages = [page["inferenceProfileSummaries"] for page in pages]
    assert len(pages) > 2
    assert [profile for page in pages for profile in page] == whole
    own = control.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"]
    assert own and all(profile["type"] == "APPLICATION" for profile in own)


def test_get_inference_profile(control):
    by_id = control.get_inference_profile(inferenceProfileIdentifier=MODEL)
    by_arn = control.get_inference_profile(inferenceProfileIdentifier=by_id["inferenceProfileArn"])
    for profile in (by_id, by_arn):
        assert profile["inferenceProfileId"] == MODEL
        assert profile["status"] == "ACTIVE"
        assert profile["createdAt"].year >= 2024
        regions = [model["modelArn"].split(":")[3] for model in profile["models"]]
        assert regions == ["us-east-1", "us-east-2", "us-west-2"]


def test_foundation_models(control):
    models = control.list_foundation_models(byProvider="Amazon")["modelSummaries"]
    assert models and all(model["providerName"] == "Amazon" for model in models)
    text = next(model for model in models if model["outputModalities"] == ["TEXT"])
    model = control.get_foundation_model(modelIdentifier=text["modelId"])["modelDetails"]
    assert model["responseStreamingSupported"] is True


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("validation", "ValidationException", 400),
        ("access-denied", "AccessDeniedException", 403),
        ("resource-not-found", "ResourceNotFoundException", 404),
        ("model-timeout", "ModelTimeoutException", 408),
        ("model-error", "ModelErrorException", 424),
        ("throttling", "ThrottlingException", 429),
        ("model-not-ready", "ModelNotReadyException", 429),
        ("internal", "InternalServerException", 500),
        ("service-unavailable", "ServiceUnavailableException", 503),
    ],
)
@pytest.mark.parametrize("operation", ["converse", "converse_stream"])
def test_errors_before_the_stream(runtime, operation, fault, code, status):
    with pytest.raises(getattr(runtime.exceptions, code)) as caught:
        getattr(runtime, operation)(modelId=f"{MODEL}.fault-{fault}", messages=HELLO)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code
    assert answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    if fault == "model-error":
        assert answer["originalStatusCode"] == 500


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("stream-throttling", "throttlingException"),
        ("stream-internal", "internalServerException"),
        ("stream-model-stream-error", "modelStreamErrorException"),
        ("stream-validation", "validationException"),
        ("stream-service-unavailable", "serviceUnavailableException"),
        ("stream-error", "InternalFailure"),
    ],
)
@pytest.mark.parametrize("after", [0, 1])
def test_errors_in_the_stream(runtime, fault, code, after):
    events = []
    answer = runtime.converse_stream(modelId=f"{MODEL}.fault-{fault}-after-{after}", messages=HELLO)
    with pytest.raises(EventStreamError) as caught:
        for event in answer["stream"]:
            events.append(event)
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"]
    assert sum("contentBlockDelta" in event for event in events) == after
    assert len(events) == (0 if after == 0 else after + 1)


def test_real_validation_errors(runtime):
    with pytest.raises(runtime.exceptions.ValidationException, match="provided model identifier is invalid"):
        runtime.converse(modelId="does-not-exist", messages=HELLO)
    with pytest.raises(runtime.exceptions.ValidationException, match="on-demand throughput isn.t supported"):
        runtime.converse_stream(modelId="deepseek.r1-v1:0", messages=HELLO)


def test_a_profile_of_another_geography(control):
    with pytest.raises(control.exceptions.ResourceNotFoundException):
        client("bedrock", "eu-west-1").get_inference_profile(inferenceProfileIdentifier=MODEL)


def test_a_wrong_secret():
    with pytest.raises(ClientError) as caught:
        client("bedrock-runtime", secret="another").converse(modelId=MODEL, messages=HELLO)
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_bearer_token(monkeypatch):
    # boto3 sends bearer tokens only over TLS.
    def ask(token):
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
        runtime = boto3.client("bedrock-runtime", "us-east-1", endpoint_url=TLS_URL, verify=CA)
        return runtime.converse(modelId=MODEL, messages=HELLO)

    assert ask("emulator-bearer-token")["stopReason"] == "end_turn"
    with pytest.raises(ClientError) as caught:
        ask("another")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def own(method, path, body=None):
    """Calls the emulator's control API."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/_emulator/{path}", data, method=method)) as answer:
        return json.load(answer)


@pytest.mark.parametrize(
    "source, destinations",
    [
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", ["us-east-1"]),
        (
            f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{MODEL}",
            ["us-east-1", "us-east-2", "us-west-2"],
        ),
    ],
)
def test_application_profiles(runtime, control, source, destinations):
    created = control.create_inference_profile(
        inferenceProfileName="tenant-a chat",
        description="Chat of tenant A",
        modelSource={"copyFrom": source},
        tags=[{"key": "tenant", "value": "a"}, {"key": "environment", "value": "prod"}],
    )
    assert created["status"] == "ACTIVE"
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    arn = created["inferenceProfileArn"]

    read = control.get_inference_profile(inferenceProfileIdentifier=arn)
    assert (read["inferenceProfileName"], read["type"]) == ("tenant-a chat", "APPLICATION")
    assert [model["modelArn"].split(":")[3] for model in read["models"]] == destinations
    listed = control.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"]
    assert arn in [profile["inferenceProfileArn"] for profile in listed]

    def tags():
        listed = control.list_tags_for_resource(resourceARN=arn)["tags"]
        return {tag["key"]: tag["value"] for tag in listed}

    assert tags() == {"tenant": "a", "environment": "prod"}
    control.tag_resource(resourceARN=arn, tags=[{"key": "application", "value": "chat"}])
    control.untag_resource(resourceARN=arn, tagKeys=["environment"])
    assert tags() == {"tenant": "a", "application": "chat"}

    assert runtime.converse(modelId=arn, messages=HELLO)["stopReason"] == "end_turn"
    assert text_of(stream(runtime, arn))
    control.delete_inference_profile(inferenceProfileIdentifier=read["inferenceProfileId"])
    with pytest.raises(control.exceptions.ResourceNotFoundException):
        control.get_inference_profile(inferenceProfileIdentifier=arn)
    with pytest.raises(runtime.exceptions.ValidationException):
        runtime.converse(modelId=arn, messages=HELLO)


def test_application_profiles_that_cannot_be_made(control):
    def create(name="a", source=f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{MODEL}", **more):
        return control.create_inference_profile(inferenceProfileName=name, modelSource={"copyFrom": source}, **more)

    token = str(uuid.uuid4())
    arn = create(clientRequestToken=token)["inferenceProfileArn"]
    assert create(clientRequestToken=token)["inferenceProfileArn"] == arn
    with pytest.raises(control.exceptions.ConflictException):
        create("b", clientRequestToken=token)
    with pytest.raises(control.exceptions.ValidationException):
        create("a" * 65)
    with pytest.raises(control.exceptions.ResourceNotFoundException):
        create(source="arn:aws:bedrock:us-east-1::foundation-model/no.such-model")
    with pytest.raises(control.exceptions.ValidationException):
        control.delete_inference_profile(inferenceProfileIdentifier=MODEL)
    control.delete_inference_profile(inferenceProfileIdentifier=arn)


def test_provisioned_throughput(runtime, control):
    units = control.list_provisioned_model_throughputs()["provisionedModelSummaries"]
    assert units
    for one in units:
        read = control.get_provisioned_model_throughput(provisionedModelId=one["provisionedModelArn"])
        assert read["foundationModelArn"] == one["foundationModelArn"]
        assert runtime.converse(modelId=one["provisionedModelArn"], messages=HELLO)["stopReason"] == "end_turn"


def test_count_tokens(runtime):
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    counted = runtime.count_tokens(modelId=model, input={"converse": {"messages": HELLO}})["inputTokens"]
    answer = runtime.converse(modelId=f"us.{model}", messages=HELLO)
    assert counted == answer["usage"]["inputTokens"]
    with pytest.raises(runtime.exceptions.ValidationException, match="doesn't support counting tokens"):
        runtime.count_tokens(modelId=f"us.{model}", input={"converse": {"messages": HELLO}})


def test_apply_guardrail(runtime):
    def apply(*texts, guardrail="gr1", **options):
        content = [{"text": text if isinstance(text, dict) else {"text": text}} for text in texts]
        return runtime.apply_guardrail(guardrailIdentifier=guardrail, guardrailVersion="1", source="OUTPUT", content=content, **options)

    masked = apply("Write to ann@example.com", {"text": "Who?", "qualifiers": ["query"]}, outputScope="FULL")
    assert masked["action"] == "GUARDRAIL_INTERVENED"
    assert masked["outputs"] == [{"text": "Write to {EMAIL}"}]
    [assessment] = masked["assessments"]
    assert assessment["sensitiveInformationPolicy"]["piiEntities"][0]["match"] == "ann@example.com"
    assert masked["guardrailCoverage"]["textCharacters"] == {"guarded": 24, "total": 28}
    assert masked["usage"]["sensitiveInformationPolicyUnits"] == 1
    passed = apply("Hello")
    assert (passed["action"], passed["outputs"]) == ("NONE", [])
    arn = "arn:aws:bedrock:{}:123456789012:guardrail/gr1"
    assert apply("Hello", guardrail=arn.format("us-east-1"))["action"] == "NONE"
    with pytest.raises(runtime.exceptions.ResourceNotFoundException):
        apply("Hello", guardrail=arn.format("us-west-2"))


def test_invoke_model(runtime):
    def invoke(model, body, **options):
        answered = runtime.invoke_model(modelId=model, body=json.dumps(body), **options)
        headers = answered["ResponseMetadata"]["HTTPHeaders"]
        tokens = [int(headers[f"x-amzn-bedrock-{kind}-token-count"]) for kind in ("input", "output")]
        return json.loads(answered["body"].read()), tokens

    def embed(text):
        answer, tokens = invoke("amazon.titan-embed-text-v2:0", {"inputText": text, "dimensions": 256})
        assert tokens == [answer["inputTextTokenCount"], 0]
        return answer["embedding"]

    def nearness(one, other):
        return sum(a * b for a, b in zip(one, other))

    question = embed("How do I reset my password?")
    assert nearness(question, question) == pytest.approx(1)
    assert nearness(question, embed("Reset a forgotten password")) > nearness(question, embed("Opening hours of the canteen")) + 0.2

    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "Say hi"}]}
    answer, tokens = invoke("us.anthropic.claude-sonnet-5", body)
    assert answer["content"][0]["type"] == "text"
    assert tokens == [answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]]
    body["messages"][0]["content"] = "emulate:guardrail_block"
    answer, _ = invoke("us.anthropic.claude-sonnet-5", body, guardrailIdentifier="gr1", guardrailVersion="1")
    assert answer["amazon-bedrock-guardrailAction"] == "INTERVENED"
    with pytest.raises(runtime.exceptions.ValidationException, match="Malformed input request"):
        invoke("amazon.titan-embed-text-v2:0", {})


def test_invoke_model_with_response_stream(runtime):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "Say hi"}]}

    def stream(model):
        answered = runtime.invoke_model_with_response_stream(modelId=model, body=json.dumps(body))
        assert answered["contentType"] == "application/json"
        for event in answered["body"]:
            yield json.loads(event["chunk"]["bytes"])

    chunks = list(stream("us.anthropic.claude-sonnet-5"))
    assert chunks[0]["type"] == "message_start"
    assert chunks[1] == {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    text = "".join(chunk["delta"]["text"] for chunk in chunks if chunk["type"] == "content_block_delta")
    whole = json.loads(runtime.invoke_model(modelId="us.anthropic.claude-sonnet-5", body=json.dumps(body))["body"].read())
    assert text == whole["content"][0]["text"]
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert (chunks[-1]["type"], metrics["outputTokenCount"]) == ("message_stop", whole["usage"]["output_tokens"])
    with pytest.raises(EventStreamError, match="throttlingException"):
        list(stream("us.anthropic.claude-sonnet-5.fault-stream-throttling-after-1"))
    with pytest.raises(runtime.exceptions.ValidationException, match="unsupported for streaming"):
        list(stream("amazon.titan-embed-text-v2:0"))


def test_projects(runtime, control):
    project = "arn:aws:bedrock:us-east-1:123456789012:project/boto3"
    trusted = "us.anthropic.claude-sonnet-5"
    own("PUT", f"projects/{project}", {"trustedAccess": [trusted]})
    try:
        for identifier in ["boto3", project]:
            answer = runtime.converse(modelId=trusted, messages=HELLO, projectIdentifier=identifier)
            assert answer["stopReason"] == "end_turn"
            call = own("GET", "calls")["calls"][-1]
            assert (call["operation"], call["project"]) == ("Converse", identifier)
        events = runtime.converse_stream(modelId=MODEL, messages=HELLO, projectIdentifier="boto3")["stream"]
        assert text_of(list(events))
        body = json.dumps({"inputText": "hi"})
        runtime.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=body, projectIdentifier="boto3")
        call = own("GET", "calls")["calls"][-1]
        assert (call["operation"], call["project"]) == ("InvokeModel", "boto3")

        listed = lambda **of: {
            profile["inferenceProfileId"]
            for profile in control.list_inference_profiles(maxResults=1000, **of)["inferenceProfileSummaries"]
        }
        assert trusted in listed(projectIdentifier="boto3")
        assert trusted not in listed()
        found = control.get_inference_profile(inferenceProfileIdentifier=trusted, projectIdentifier=project)
        assert found["inferenceProfileId"] == trusted
        with pytest.raises(ClientError) as raised:
            control.get_inference_profile(inferenceProfileIdentifier=trusted)
        assert raised.value.response["Error"]["Code"] == "ResourceNotFoundException"

        application = control.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"][0]
        for model, identifier in [(MODEL, "unknown"), (application["inferenceProfileArn"], "boto3")]:
            with pytest.raises(ClientError) as raised:
                runtime.converse(modelId=model, messages=HELLO, projectIdentifier=identifier)
            assert raised.value.response["Error"]["Code"] == "ValidationException"
    finally:
        own("DELETE", f"projects/{project}")


def test_quotas_and_conditions_of_regions():
    runtime = client("bedrock-runtime", "ap-northeast-1")
    ask = lambda: runtime.converse(modelId="amazon.nova-micro-v1:0", messages=HELLO)
    one = {"onDemand": {"requestsPerMinute": 1}}
    own("PUT", "quotas", {"overrides": [{"region": "ap-northeast-1", "quota": one}]})
    request_id = ask()["ResponseMetadata"]["RequestId"]
    with pytest.raises(runtime.exceptions.ThrottlingException, match="Too many requests"):
        ask()
    own("DELETE", "quotas")
    own("PUT", "regions/ap-northeast-1", {"fault": "service-unavailable"})
    with pytest.raises(runtime.exceptions.ServiceUnavailableException):
        ask()
    own("DELETE", "regions/ap-northeast-1")
    ask()
    events = [event for event in own("GET", "events")["Records"] if event["awsRegion"] == "ap-northeast-1"]
    assert [event.get("errorCode") for event in events] == [
        None,
        "ThrottlingException",
        "ServiceUnavailableException",
        None,
    ]
    assert events[0]["requestID"] == request_id
    assert events[0]["additionalEventData"] == {"inferenceRegion": "ap-northeast-1"}
