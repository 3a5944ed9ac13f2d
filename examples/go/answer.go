package main

import (
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"

	pb "github.com/bedrock-grpc/bedrock-grpc/examples/go/inferencev1"
)

// answer is a streamed answer, put together while it comes. It is complete when usage is set: metadata ends every stream that is OK.
type answer struct {
	text       strings.Builder
	deltas     int
	toolUses   []*toolUse
	stopReason string
	usage      *pb.TokenUsage
}

type toolUse struct {
	id, name string
	index    int32
	input    strings.Builder
}

// read takes events until the stream ends. What came before an error is kept.
func (a *answer) read(stream grpc.ServerStreamingClient[pb.StreamInvokeResponse], onText func(string)) error {
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch event := response.Event.(type) {
		case *pb.StreamInvokeResponse_ContentBlockStart:
			if start := event.ContentBlockStart.GetToolUse(); start != nil {
				use := &toolUse{id: start.ToolUseId, name: start.Name, index: event.ContentBlockStart.ContentBlockIndex}
				a.toolUses = append(a.toolUses, use)
			}
		case *pb.StreamInvokeResponse_ContentBlockDelta:
			switch delta := event.ContentBlockDelta.Delta.(type) {
			case *pb.ContentBlockDeltaEvent_Text:
				a.text.WriteString(delta.Text)
				a.deltas++
				onText(delta.Text)
			case *pb.ContentBlockDeltaEvent_ToolUse:
				// Fragments of JSON: they can be parsed only together.
				for _, use := range a.toolUses {
					if use.index == event.ContentBlockDelta.ContentBlockIndex {
						use.input.WriteString(delta.ToolUse.Input)
					}
				}
			}
		case *pb.StreamInvokeResponse_MessageStop:
			a.stopReason = event.MessageStop.StopReasonName
		case *pb.StreamInvokeResponse_Metadata:
			a.usage = event.Metadata.GetMetadata().GetUsage()
		default: // Heartbeats, and what a later version of the API brings.
		}
	}
}

// json is the tool's input. A tool that takes none gets no fragments.
func (u *toolUse) json() string {
	if u.input.Len() == 0 {
		return "{}"
	}
	return u.input.String()
}

// message is the answer as a turn of the conversation, to be sent back with the next one.
func (a *answer) message() *pb.Message {
	message := &pb.Message{Role: pb.Role_ROLE_ASSISTANT}
	if a.text.Len() > 0 {
		message.Content = append(message.Content, text(a.text.String()))
	}
	for _, use := range a.toolUses {
		block := &pb.ToolUseBlock{ToolUseId: use.id, Name: use.name, Input: &pb.ToolUseBlock_InputJson{InputJson: use.json()}}
		message.Content = append(message.Content, &pb.ContentBlock{Content: &pb.ContentBlock_ToolUse{ToolUse: block}})
	}
	return message
}
