package main

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"

	pb "github.com/bedrock-grpc/bedrock-grpc/examples/go/inferencev1"
)

// The methods that the scenarios do not call, against the gateway at GATEWAY_GRPC.

// An inference profile of a model that counts tokens.
const counts = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

func connection(t *testing.T) *grpc.ClientConn {
	t.Helper()
	serviceConfig, err := defaultServiceConfig()
	if err != nil {
		t.Fatal(err)
	}
	address := os.Getenv("GATEWAY_GRPC")
	if address == "" {
		t.Fatal("set GATEWAY_GRPC to the address of a gateway that `dev` has started, such as 127.0.0.1:50051")
	}
	conn, err := dial(address, serviceConfig, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestCountTokens(t *testing.T) {
	message := &pb.Message{Role: pb.Role_ROLE_USER, Content: []*pb.ContentBlock{{Content: &pb.ContentBlock_Text{Text: "Count to 10"}}}}
	answer, err := pb.NewInferenceServiceClient(connection(t)).CountTokens(t.Context(), &pb.CountTokensRequest{
		Target: counts, Input: &pb.ConverseInput{Messages: []*pb.Message{message}},
	})
	if err != nil || answer.GetInputTokens() <= 0 || "us."+answer.CountedBy != counts {
		t.Fatalf("%v, %v", answer, err)
	}
}

func TestStreamInvokeModel(t *testing.T) {
	body := `{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "Count to 10"}]}`
	stream, err := pb.NewModelServiceClient(connection(t)).StreamInvokeModel(t.Context(), &pb.StreamInvokeModelRequest{
		Target: "claude", Body: []byte(body),
	})
	if err != nil {
		t.Fatal(err)
	}
	var last struct{ Type string }
	for {
		event, err := stream.Recv()
		if err != nil {
			t.Fatalf("the stream ended without metadata: %v", err)
		}
		if chunk := event.GetChunk(); chunk != nil {
			if err := json.Unmarshal(chunk, &last); err != nil {
				t.Fatal(err)
			}
		}
		if metadata := event.GetMetadata(); metadata != nil {
			if last.Type != "message_stop" || metadata.GetMetadata().GetUsage().GetOutputTokens() <= 0 {
				t.Fatalf("%q, %v", last.Type, metadata)
			}
			return
		}
	}
}

func TestApplyGuardrail(t *testing.T) {
	text := &pb.GuardrailConverseTextBlock{Text: "Write to ann@example.com"}
	answer, err := pb.NewGuardrailServiceClient(connection(t)).ApplyGuardrail(t.Context(), &pb.ApplyGuardrailRequest{
		Target:              "nova",
		GuardrailIdentifier: new("gr1"),
		GuardrailVersion:    new("1"),
		Source:              pb.GuardrailContentSource_GUARDRAIL_CONTENT_SOURCE_OUTPUT,
		Content:             []*pb.GuardrailConverseContentBlock{{Content: &pb.GuardrailConverseContentBlock_Text{Text: text}}},
	})
	if err != nil || answer.Action != pb.GuardrailAction_GUARDRAIL_ACTION_GUARDRAIL_INTERVENED {
		t.Fatalf("%v, %v", answer, err)
	}
	if len(answer.Outputs) != 1 || answer.Outputs[0].GetText() != "Write to {EMAIL}" {
		t.Fatalf("%v", answer.Outputs)
	}
}
