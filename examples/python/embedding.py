"""Embeddings of texts: a call in the model's own format, here that of Titan Text Embeddings V2."""

import json

from bedrock.inference.v1 import model_service_pb2, model_service_pb2_grpc


def embedding(models: model_service_pb2_grpc.ModelServiceStub, target: str, text: str) -> list[float]:
    body = json.dumps({"inputText": text, "dimensions": 256, "normalize": True}).encode()
    reply = models.InvokeModel(model_service_pb2.InvokeModelRequest(target=target, body=body))
    return json.loads(reply.body)["embedding"]


def nearest(models: model_service_pb2_grpc.ModelServiceStub, target: str, text: str, others: list[str]) -> str:
    """The one of the others whose meaning is nearest to the text's. Makes one call for each text."""
    wanted = embedding(models, target, text)
    return max(others, key=lambda other: similarity(wanted, embedding(models, target, other)))


def similarity(a: list[float], b: list[float]) -> float:
    """The cosine similarity. Normalized vectors have length 1, so it is their dot product."""
    return sum(x * y for x, y in zip(a, b, strict=True))
