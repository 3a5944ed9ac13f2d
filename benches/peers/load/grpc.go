package main

import (
	"context"
	"io"

	pb "github.com/bedrock-grpc/bedrock-grpc/examples/go/inferencev1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
)

// The API of bedrock-grpc.
type grpcAPI struct {
	options
	clients []pb.InferenceServiceClient
	input   *pb.ConverseInput
}

func newGRPC(o options) (api, error) {
	question := &pb.ContentBlock{Content: &pb.ContentBlock_Text{Text: prompt}}
	message := &pb.Message{Role: pb.Role_ROLE_USER, Content: []*pb.ContentBlock{question}}
	api := &grpcAPI{options: o, input: &pb.ConverseInput{Messages: []*pb.Message{message}}}
	for range o.channels {
		connection, err := grpc.NewClient(o.url, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		api.clients = append(api.clients, pb.NewInferenceServiceClient(connection))
	}
	return api, nil
}

func (api *grpcAPI) call(ctx context.Context, slot int) (answer, error) {
	var a answer
	client := api.clients[slot%len(api.clients)]
	if api.unary {
		response, err := client.Invoke(ctx, &pb.InvokeRequest{Target: api.model, Input: api.input})
		if err != nil {
			return a, err
		}
		for _, block := range response.GetMessage().GetContent() {
			a.text(block.GetText())
		}
		a.output = int(response.GetMetadata().GetUsage().GetOutputTokens())
		return a, nil
	}
	request := &pb.StreamInvokeRequest{Target: api.model, Input: api.input}
	if api.coalesce > 0 {
		request.Coalesce = durationpb.New(api.coalesce)
	}
	stream, err := client.StreamInvoke(ctx, request)
	if err != nil {
		return a, err
	}
	for {
		response, err := stream.Recv()
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		switch event := response.Event.(type) {
		case *pb.StreamInvokeResponse_ContentBlockDelta:
			a.text(event.ContentBlockDelta.GetText())
		case *pb.StreamInvokeResponse_Metadata:
			a.output = int(event.Metadata.GetMetadata().GetUsage().GetOutputTokens())
		}
	}
}
