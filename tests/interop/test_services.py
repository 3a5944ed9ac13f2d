"""Services that every gRPC server has: health and reflection. Everything else is unimplemented."""

import grpc
import pytest
from bedrock.inference.v1 import inference_service_pb2
from gateway import SERVICE, TIMEOUT_S
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICES = [f"bedrock.inference.v1.{name}" for name in ("GuardrailService", "InferenceService", "LimitsService", "ModelService", "TargetService")]


@pytest.mark.parametrize("path", [f"/{SERVICE}/Unknown", "/grpc.testing.UnimplementedService/UnimplementedCall", "/x"])
def test_unimplemented(gateway, path):
    with pytest.raises(grpc.RpcError) as failed:
        gateway.channel.unary_unary(path)(b"", timeout=TIMEOUT_S)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(grpc.RpcError) as failed:
        list(gateway.channel.unary_stream(path)(b"", timeout=TIMEOUT_S))
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_what_is_no_message(gateway):
    with pytest.raises(grpc.RpcError) as failed:
        gateway.channel.unary_unary(f"/{SERVICE}/Invoke")(b"\xff\xff\xff", timeout=TIMEOUT_S)
    assert failed.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_health(gateway, service):
    health = health_pb2_grpc.HealthStub(gateway.channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT_S)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_health_of_what_is_not_there(gateway):
    health = health_pb2_grpc.HealthStub(gateway.channel)
    with pytest.raises(grpc.RpcError) as failed:
        health.Check(health_pb2.HealthCheckRequest(service="unknown"), timeout=TIMEOUT_S)
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection(gateway):
    database = ProtoReflectionDescriptorDatabase(gateway.channel)
    assert set(SERVICES) <= set(database.get_services())
    # A separate pool, which contains only the descriptors that the gateway returns.
    service = descriptor_pool.DescriptorPool(database).FindServiceByName(SERVICE)
    assert {method.name for method in service.methods} == {"CountTokens", "Invoke", "StreamInvoke"}
    request = service.methods_by_name["StreamInvoke"].input_type
    generated = inference_service_pb2.StreamInvokeRequest.DESCRIPTOR
    assert [field.name for field in request.fields] == [field.name for field in generated.fields]
