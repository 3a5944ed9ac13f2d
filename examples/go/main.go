// A client of bedrock-grpc: go run . stream|cancel|deadline|tools|image|embed|errors|scenario
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	pb "github.com/bedrock-grpc/bedrock-grpc/examples/go/inferencev1"
)

// A model that is slow, or fails: `bedrock-grpc emulate --help` lists all faults.
const fault = "us.amazon.nova-lite-v1:0.fault-"

func show(token string) { fmt.Print(token) }

// stream prints tokens as they arrive.
func stream(ctx context.Context, client pb.InferenceServiceClient) error {
	request := &pb.StreamInvokeRequest{Target: "claude", Input: conversation(user(text("Why is the sky blue?")))}
	call, err := client.StreamInvoke(ctx, request)
	if err != nil {
		return err
	}
	var a answer
	if err := a.read(call, show); err != nil {
		return err
	}
	fmt.Printf("\n%s, %d tokens\n", a.stopReason, a.usage.GetTotalTokens())
	return nil
}

// cancel stops after three tokens. The gateway closes the call to Bedrock, so that the model can
// stop.
func cancel(ctx context.Context, client pb.InferenceServiceClient) error {
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	request := &pb.StreamInvokeRequest{Target: "claude", Input: conversation(user(text("Count to 100")))}
	call, err := client.StreamInvoke(ctx, request)
	if err != nil {
		return err
	}
	var a answer
	err = a.read(call, func(token string) {
		show(token)
		if a.deltas == 3 {
			enough()
		}
	})
	fmt.Printf("\n%v\n", failureOf(err).code)
	return nil
}

// deadline allows one second for the whole call. Output that arrived until then is kept.
func deadline(ctx context.Context, client pb.InferenceServiceClient) error {
	ctx, release := context.WithTimeout(ctx, time.Second)
	defer release()
	request := &pb.StreamInvokeRequest{Target: fault + "stall-after-3", Input: conversation(user(text("Count to 100")))}
	call, err := client.StreamInvoke(ctx, request)
	if err != nil {
		return err
	}
	var a answer
	err = a.read(call, show)
	fmt.Printf("\n%v after %q\n", failureOf(err).code, a.text.String())
	return nil
}

// tools lets the model use a tool, runs it, and lets the model continue.
func tools(ctx context.Context, client pb.InferenceServiceClient) error {
	schema := json.RawMessage(`{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}`)
	input := conversation(user(text("What is the weather in Paris?")))
	input.ToolConfig = &pb.ToolConfiguration{Tools: []*pb.Tool{tool("get_weather", "The weather in a city", schema)}}
	for {
		call, err := client.StreamInvoke(ctx, &pb.StreamInvokeRequest{Target: "claude", Input: input})
		if err != nil {
			return err
		}
		var a answer
		if err := a.read(call, show); err != nil {
			return err
		}
		fmt.Println()
		if a.stopReason != "tool_use" {
			return nil
		}
		var results []*pb.ContentBlock
		for _, use := range a.toolUses {
			fmt.Printf("[%s %s]\n", use.name, use.json())
			var asked struct{ City string }
			if err := json.Unmarshal([]byte(use.json()), &asked); err != nil {
				return err
			}
			result, err := json.Marshal(struct {
				City    string `json:"city"`
				Celsius int    `json:"celsius"`
			}{asked.City, 21})
			if err != nil {
				return err
			}
			results = append(results, toolResult(use.id, result))
		}
		input.Messages = append(input.Messages, a.message(), user(results...))
	}
}

// image sends an image with the question.
func image(ctx context.Context, client pb.InferenceServiceClient) error {
	picture, err := os.ReadFile("../image.png")
	if err != nil {
		return err
	}
	request := &pb.StreamInvokeRequest{Target: "claude", Input: conversation(user(png(picture), text("What is this?")))}
	call, err := client.StreamInvoke(ctx, request)
	if err != nil {
		return err
	}
	defer fmt.Println()
	return new(answer).read(call, show)
}

// embed prints which of two texts is nearer to a third one.
func embed(ctx context.Context, client pb.ModelServiceClient) error {
	found, err := nearest(ctx, client, "embed", "ships look for the lighthouse", []string{"quarterly tax report", "a lighthouse by the sea"})
	if err != nil {
		return err
	}
	fmt.Println(found)
	return nil
}

// showErrors shows a rate limit, an error in mid-stream, and an invalid request.
func showErrors(ctx context.Context, client pb.InferenceServiceClient) error {
	for _, target := range []string{fault + "throttling-x-amz-retry-after", fault + "stream-model-stream-error-after-3", "claud"} {
		call, err := client.StreamInvoke(ctx, &pb.StreamInvokeRequest{Target: target, Input: conversation(user(text("Count to 10")))})
		if err != nil {
			return err
		}
		fmt.Println(failureOf(new(answer).read(call, func(string) {})))
	}
	return nil
}

func run(name string, arguments []string) error {
	address := os.Getenv("GATEWAY_GRPC")
	if address == "" {
		address = "localhost:50051"
	}
	if name == "scenario" {
		return scenario(address, arguments)
	}
	serviceConfig, err := defaultServiceConfig()
	if err != nil {
		return err
	}
	connection, err := dial(address, serviceConfig, 30*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	if name == "embed" {
		return embed(context.Background(), pb.NewModelServiceClient(connection))
	}
	demos := map[string]func(context.Context, pb.InferenceServiceClient) error{
		"stream": stream, "cancel": cancel, "deadline": deadline, "tools": tools, "image": image, "errors": showErrors,
	}
	demo, ok := demos[name]
	if !ok {
		return fmt.Errorf("there is no %q", name)
	}
	return demo(context.Background(), pb.NewInferenceServiceClient(connection))
}

func main() {
	name, arguments := "stream", []string{}
	if len(os.Args) > 1 {
		name, arguments = os.Args[1], os.Args[2:]
	}
	if err := run(name, arguments); err != nil {
		log.Fatal(err)
	}
}
