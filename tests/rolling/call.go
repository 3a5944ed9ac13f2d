package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"google.golang.org/grpc/stats"

	pb "github.com/bedrock-grpc/bedrock-grpc/tests/rolling/inferencev1"
)

// call is one call as its caller sees it. It also records the attempts that the library makes for
// it.
type call struct {
	mu      sync.Mutex
	replica string // The replica of the last attempt.
	lost    error  // The error of the last attempt. The library may make another attempt.
	events  int
	open    bool // Whether the call is counted as an open stream.
}

type callKey struct{}

// attempts counts the library's retries, which callers do not see.
type attempts struct{ *load }

func (attempts) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (a attempts) HandleRPC(ctx context.Context, what stats.RPCStats) {
	// The library also makes health checks, which are not calls of a client.
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return
	}
	switch what := what.(type) {
	case *stats.Begin:
		if lost := c.nextAttempt(); lost != nil {
			a.again(*lost, what.IsTransparentRetryAttempt)
		}
	case *stats.OutHeader:
		c.mu.Lock()
		c.replica = host(what.RemoteAddr)
		c.mu.Unlock()
	case *stats.End:
		c.mu.Lock()
		c.lost = what.Error
		c.mu.Unlock()
	}
}

// nextAttempt begins another attempt. It returns the failure of the attempt before, if there was
// one.
func (c *call) nextAttempt() *failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		return nil
	}
	f := c.failure(c.lost)
	c.lost = nil
	return &f
}

func (attempts) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (attempts) HandleConn(context.Context, stats.ConnStats) {}

func host(address net.Addr) string {
	name, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	return name
}

func (c *call) where() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replica
}

// contract is the error of a stream that violates the API, although its status is OK.
type contract struct{ what string }

func (c contract) Error() string { return "the stream violates the API: " + c.what }

// stream requests a number of tokens and accepts only the complete grammar: message_start, each
// token, message_stop, metadata with the usage, OK.
func (c *call) stream(ctx context.Context, client pb.InferenceServiceClient, tokens int32, began func()) error {
	stream, err := client.StreamInvoke(context.WithValue(ctx, callKey{}, c), &pb.StreamInvokeRequest{Target: "claude", Input: question(tokens)})
	if err != nil {
		return err
	}
	const beginning, content, stopped, ended = "the beginning", "the content", "message_stop", "metadata"
	state, deltas := beginning, int32(0)
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if state != ended {
				return contract{"OK after " + state}
			}
			return nil
		}
		if err != nil {
			return err
		}
		wrong := func() error { return contract{fmt.Sprintf("%T after %s, %d tokens", response.Event, state, deltas)} }
		c.events++
		switch event := response.Event.(type) {
		case *pb.StreamInvokeResponse_Heartbeat:
		case *pb.StreamInvokeResponse_MessageStart:
			if state != beginning {
				return wrong()
			}
			state = content
			began()
		case *pb.StreamInvokeResponse_ContentBlockDelta:
			if state != content {
				return wrong()
			}
			deltas++
		case *pb.StreamInvokeResponse_ContentBlockStart, *pb.StreamInvokeResponse_ContentBlockStop:
			if state != content {
				return wrong()
			}
		case *pb.StreamInvokeResponse_MessageStop:
			if state != content || deltas != tokens {
				return wrong()
			}
			state = stopped
		case *pb.StreamInvokeResponse_Metadata:
			if state != stopped || event.Metadata.GetMetadata().GetUsage().GetOutputTokens() != tokens {
				return wrong()
			}
			state = ended
		default:
			return wrong()
		}
	}
}

// unary makes a call that returns the whole answer.
func (c *call) unary(ctx context.Context, client pb.InferenceServiceClient) error {
	reply, err := client.Invoke(context.WithValue(ctx, callKey{}, c), &pb.InvokeRequest{Target: "claude", Input: question(1)})
	if err == nil && reply.GetMetadata().GetUsage().GetOutputTokens() != 1 {
		return contract{"the answer does not have the requested length"}
	}
	return err
}

// list makes a call that the gateway answers without calling Bedrock.
func (c *call) list(ctx context.Context, client pb.TargetServiceClient) error {
	reply, err := client.ListTargets(context.WithValue(ctx, callKey{}, c), &pb.ListTargetsRequest{})
	if err == nil && len(reply.Targets) != 1 {
		return contract{"the list of targets differs from the configuration"}
	}
	return err
}

func question(tokens int32) *pb.ConverseInput {
	text := &pb.ContentBlock{Content: &pb.ContentBlock_Text{Text: "Count as far as you may."}}
	return &pb.ConverseInput{
		Messages:        []*pb.Message{{Role: pb.Role_ROLE_USER, Content: []*pb.ContentBlock{text}}},
		InferenceConfig: &pb.InferenceConfiguration{MaxTokens: &tokens},
	}
}
