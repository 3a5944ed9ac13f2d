package main

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"

	pb "github.com/bedrock-grpc/bedrock-grpc/examples/go/inferencev1"
)

// answer is a streamed answer, combined as it arrives. It is complete when usage is set: metadata
// ends every successful stream.
type answer struct {
	text       strings.Builder
	deltas     int
	blocks     map[int32]*block // by their index, which is their order
	toolUses   []*block
	stopReason string
	usage      *pb.TokenUsage
}

// block is a content block of an answer: text, reasoning, or a tool use. Only tool uses have a
// name.
type block struct {
	id, name                          string
	text, reasoning, signature, input strings.Builder
	redacted                          []byte
}

// read reads events until the stream ends. What arrived before an error is kept.
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
				use := a.block(event.ContentBlockStart.ContentBlockIndex)
				use.id, use.name = start.ToolUseId, start.Name
				a.toolUses = append(a.toolUses, use)
			}
		case *pb.StreamInvokeResponse_ContentBlockDelta:
			current := a.block(event.ContentBlockDelta.ContentBlockIndex)
			switch delta := event.ContentBlockDelta.Delta.(type) {
			case *pb.ContentBlockDeltaEvent_Text:
				current.text.WriteString(delta.Text)
				a.text.WriteString(delta.Text)
				a.deltas++
				onText(delta.Text)
			case *pb.ContentBlockDeltaEvent_ToolUse:
				// Fragments of JSON: parse them only when all have arrived.
				current.input.WriteString(delta.ToolUse.Input)
			case *pb.ContentBlockDeltaEvent_ReasoningContent:
				current.reasoning.WriteString(delta.ReasoningContent.GetText())
				current.signature.WriteString(delta.ReasoningContent.GetSignature())
				current.redacted = append(current.redacted, delta.ReasoningContent.GetRedactedContent()...)
			}
		case *pb.StreamInvokeResponse_MessageStop:
			a.stopReason = event.MessageStop.StopReasonName
		case *pb.StreamInvokeResponse_Metadata:
			a.usage = event.Metadata.GetMetadata().GetUsage()
		default: // Heartbeats, and what a later version of the API adds.
		}
	}
}

func (a *answer) block(index int32) *block {
	if a.blocks == nil {
		a.blocks = map[int32]*block{}
	}
	if a.blocks[index] == nil {
		a.blocks[index] = &block{}
	}
	return a.blocks[index]
}

// json is the input of a tool use. A tool without input gets no fragments.
func (b *block) json() string {
	if b.input.Len() == 0 {
		return "{}"
	}
	return b.input.String()
}

// message is the answer as a turn of the conversation, to send with the next request. It includes
// the reasoning, unchanged and in its place: Claude rejects a tool result without the signed
// reasoning before the tool use.
func (a *answer) message() *pb.Message {
	message := &pb.Message{Role: pb.Role_ROLE_ASSISTANT}
	for _, index := range slices.Sorted(maps.Keys(a.blocks)) {
		if content := a.blocks[index].content(); content != nil {
			message.Content = append(message.Content, content)
		}
	}
	return message
}

func (b *block) content() *pb.ContentBlock {
	switch {
	case b.name != "":
		use := &pb.ToolUseBlock{ToolUseId: b.id, Name: b.name, Input: &pb.ToolUseBlock_InputJson{InputJson: b.json()}}
		return &pb.ContentBlock{Content: &pb.ContentBlock_ToolUse{ToolUse: use}}
	case len(b.redacted) > 0:
		redacted := &pb.ReasoningContentBlock{Content: &pb.ReasoningContentBlock_RedactedContent{RedactedContent: b.redacted}}
		return &pb.ContentBlock{Content: &pb.ContentBlock_ReasoningContent{ReasoningContent: redacted}}
	case b.reasoning.Len() > 0 || b.signature.Len() > 0:
		reasoning := &pb.ReasoningTextBlock{Text: b.reasoning.String()}
		if b.signature.Len() > 0 {
			signature := b.signature.String()
			reasoning.Signature = &signature
		}
		block := &pb.ReasoningContentBlock{Content: &pb.ReasoningContentBlock_ReasoningText{ReasoningText: reasoning}}
		return &pb.ContentBlock{Content: &pb.ContentBlock_ReasoningContent{ReasoningContent: block}}
	case b.text.Len() > 0:
		return text(b.text.String())
	default: // Bedrock refuses empty texts.
		return nil
	}
}
