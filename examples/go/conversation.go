package main

import (
	"encoding/json"

	pb "github.com/bedrock-grpc/bedrock-grpc/examples/go/inferencev1"
)

func user(blocks ...*pb.ContentBlock) *pb.Message {
	return &pb.Message{Role: pb.Role_ROLE_USER, Content: blocks}
}

func text(text string) *pb.ContentBlock {
	return &pb.ContentBlock{Content: &pb.ContentBlock_Text{Text: text}}
}

// png uses the raw bytes of the file, not base64.
func png(data []byte) *pb.ContentBlock {
	source := &pb.MediaSource{Source: &pb.MediaSource_Bytes{Bytes: data}}
	return &pb.ContentBlock{Content: &pb.ContentBlock_Image{Image: &pb.ImageBlock{Format: pb.ImageFormat_IMAGE_FORMAT_PNG, Source: source}}}
}

// tool describes a tool. The schema reaches the model byte for byte, so that prompt caches hit; a
// map would lose the order of its keys.
func tool(name, description string, inputSchema json.RawMessage) *pb.Tool {
	return &pb.Tool{Tool: &pb.Tool_ToolSpec{ToolSpec: &pb.ToolSpecification{
		Name:        name,
		Description: &description,
		InputSchema: &pb.ToolInputSchema{Schema: &pb.ToolInputSchema_Json{Json: string(inputSchema)}},
	}}}
}

func toolResult(toolUseID string, result json.RawMessage) *pb.ContentBlock {
	content := &pb.ToolResultContentBlock{Content: &pb.ToolResultContentBlock_Json{Json: string(result)}}
	return &pb.ContentBlock{Content: &pb.ContentBlock_ToolResult{ToolResult: &pb.ToolResultBlock{
		ToolUseId: toolUseID,
		Content:   []*pb.ToolResultContentBlock{content},
	}}}
}

func conversation(messages ...*pb.Message) *pb.ConverseInput {
	return &pb.ConverseInput{Messages: messages}
}
