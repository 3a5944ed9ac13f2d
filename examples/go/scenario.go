package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/bedrock-grpc/bedrock-grpc/examples/go/inferencev1"
)

// row is a row of examples/scenarios.json: what to send. tests/clients/run compares the result with
// what is expected.
type row struct {
	Name              string          `json:"name"`
	Method            string          `json:"method"`
	Target            string          `json:"target"`
	Text              string          `json:"text"`
	NearestOf         []string        `json:"nearest_of"`
	Times             int             `json:"times"`
	Image             string          `json:"image"`
	MaxTokens         *int32          `json:"max_tokens"`
	ModelFields       json.RawMessage `json:"model_fields"`
	DeadlineMS        int             `json:"deadline_ms"`
	CancelAfterDeltas int             `json:"cancel_after_deltas"`
	BlankImages       struct {
		Count, Bytes int
	} `json:"blank_images"`
	Tools []struct {
		Name, Description string
		InputSchema       json.RawMessage `json:"input_schema"`
		Result            json.RawMessage
	} `json:"tools"`
	Connection *struct {
		Address          string          `json:"address"`
		ServiceConfig    json.RawMessage `json:"service_config"`
		KeepaliveSeconds int             `json:"keepalive_seconds"`
		Bare             bool            `json:"bare"`
	} `json:"connection"`
}

// result is the result of a row.
type result struct {
	Row          string     `json:"row"`
	Code         string     `json:"code"`
	Text         string     `json:"text"`
	Deltas       int        `json:"deltas"`
	StopReason   string     `json:"stop_reason"`
	Usage        []int32    `json:"usage,omitempty"`
	ToolCalls    []toolCall `json:"tool_calls,omitempty"`
	Reason       string     `json:"reason"`
	RetryDelayMS *int64     `json:"retry_delay_ms,omitempty"`
	Fields       []string   `json:"fields,omitempty"`
	Upstream     *upstream  `json:"upstream,omitempty"`
	TookMS       int64      `json:"took_ms"`
}

type toolCall struct {
	Name       string `json:"name"`
	Input      string `json:"input"`
	InputBytes int    `json:"input_bytes"`
}

type upstream struct {
	Exception string `json:"exception"`
	Phase     string `json:"phase"`
}

// scenario runs the rows of a file, or only those with the given names, and prints each result as a
// line of JSON.
func scenario(address string, arguments []string) error {
	path, names := arguments[0], arguments[1:]
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var file struct{ Rows []row }
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	serviceConfig, err := defaultServiceConfig()
	if err != nil {
		return err
	}
	shared, err := dial(address, serviceConfig, 30*time.Second)
	if err != nil {
		return err
	}
	defer shared.Close()
	for _, row := range file.Rows {
		if len(names) > 0 && !slices.Contains(names, row.Name) {
			continue
		}
		connection := shared
		if own := row.Connection; own != nil {
			to, config, idle := address, serviceConfig, 30*time.Second
			if own.Address != "" {
				to = os.Getenv(own.Address)
			}
			if own.ServiceConfig != nil {
				config = string(own.ServiceConfig)
			}
			if own.KeepaliveSeconds > 0 {
				idle = time.Duration(own.KeepaliveSeconds) * time.Second
			}
			connection, err = dial(to, config, idle)
			if own.Bare {
				// The library's default, without what docs/clients.md recommends.
				connection, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			}
			if err != nil {
				return err
			}
		}
		line, err := json.Marshal(row.outcome(connection, filepath.Dir(path)))
		if err != nil {
			return err
		}
		fmt.Println(string(line))
		if connection != shared {
			connection.Close()
		}
	}
	return nil
}

func (r row) outcome(connection *grpc.ClientConn, folder string) result {
	begun := time.Now()
	came := result{Row: r.Name, Code: "OK"}
	var err error
	for n := 0; err == nil && n < max(r.Times, 1); n++ {
		if r.Method == "InvokeModel" {
			came.Text, err = nearest(context.Background(), pb.NewModelServiceClient(connection), r.Target, r.Text, r.NearestOf)
		} else {
			err = r.ask(pb.NewInferenceServiceClient(connection), folder, &came)
		}
	}
	if err != nil {
		f := failureOf(err)
		came.Code, came.Reason, came.Fields = codeName(f.code), f.reason, f.fields
		if f.retryDelay != nil {
			delay := f.retryDelay.Milliseconds()
			came.RetryDelayMS = &delay
		}
		if f.upstream != nil {
			came.Upstream = &upstream{f.upstream.Exception, f.upstream.Phase.String()}
		}
	}
	came.TookMS = time.Since(begun).Milliseconds()
	return came
}

func (r row) ask(client pb.InferenceServiceClient, folder string, came *result) error {
	var blocks []*pb.ContentBlock
	if r.Image != "" {
		picture, err := os.ReadFile(filepath.Join(folder, r.Image))
		if err != nil {
			return err
		}
		blocks = append(blocks, png(picture))
	}
	for range r.BlankImages.Count {
		blocks = append(blocks, png(make([]byte, r.BlankImages.Bytes)))
	}
	input := conversation(user(append(blocks, text(r.Text))...))
	// Finds the row's calls in the emulator's log.
	input.RequestMetadata = map[string]string{"row": r.Name}
	if r.MaxTokens != nil {
		input.InferenceConfig = &pb.InferenceConfiguration{MaxTokens: r.MaxTokens}
	}
	if r.ModelFields != nil {
		fields := string(r.ModelFields)
		input.AdditionalModelRequestFields = &pb.ConverseInput_AdditionalModelRequestFieldsJson{AdditionalModelRequestFieldsJson: fields}
	}
	results := map[string]json.RawMessage{}
	for _, t := range r.Tools {
		if input.ToolConfig == nil {
			input.ToolConfig = &pb.ToolConfiguration{}
		}
		input.ToolConfig.Tools = append(input.ToolConfig.Tools, tool(t.Name, t.Description, t.InputSchema))
		results[t.Name] = t.Result
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if r.DeadlineMS > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.DeadlineMS)*time.Millisecond)
		defer cancel()
	}

	if r.Method == "Invoke" {
		reply, err := client.Invoke(ctx, &pb.InvokeRequest{Target: r.Target, Input: input})
		if err != nil {
			return err
		}
		for _, block := range reply.Message.Content {
			came.Text += block.GetText()
		}
		came.StopReason, came.Usage = reply.StopReasonName, tokens(reply.Metadata.GetUsage())
		return nil
	}

	for {
		call, err := client.StreamInvoke(ctx, &pb.StreamInvokeRequest{Target: r.Target, Input: input})
		if err != nil {
			return err
		}
		var a answer
		err = a.read(call, func(string) {
			if a.deltas == r.CancelAfterDeltas {
				cancel()
			}
		})
		came.Text, came.Deltas, came.StopReason, came.Usage = a.text.String(), a.deltas, a.stopReason, tokens(a.usage)
		if err != nil {
			return err
		}
		var back []*pb.ContentBlock
		for _, use := range a.toolUses {
			input := use.json()
			came.ToolCalls = append(came.ToolCalls, toolCall{use.name, input[:min(len(input), 20)], len(input)})
			back = append(back, toolResult(use.id, results[use.name]))
		}
		if a.stopReason != "tool_use" {
			return nil
		}
		input.Messages = append(input.Messages, a.message(), user(back...))
	}
}

func tokens(usage *pb.TokenUsage) []int32 {
	if usage == nil {
		return nil
	}
	return []int32{usage.GetInputTokens(), usage.GetOutputTokens(), usage.GetTotalTokens()}
}
