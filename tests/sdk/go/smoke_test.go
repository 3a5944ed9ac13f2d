// Package smoke calls the emulator with the unmodified AWS SDK for Go v2.
//
// BEDROCK_EMULATOR_URL names the endpoint of the emulator.
package smoke

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/document"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

const (
	profile   = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	model     = "anthropic.claude-sonnet-4-5-20250929-v1:0"
	embedding = "amazon.titan-embed-text-v2:0"
)

var ctx = context.Background()

// Every call is made once, so that a retry hides no failure.
func configure(provider aws.CredentialsProvider) aws.Config {
	return aws.Config{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String(os.Getenv("BEDROCK_EMULATOR_URL")),
		Credentials:      provider,
		RetryMaxAttempts: 1,
	}
}

var own = configure(credentials.NewStaticCredentialsProvider("EMULATOR", "emulator-secret-access-key", ""))

var client = bedrockruntime.NewFromConfig(own)

func say(text string) []types.Message {
	return []types.Message{{
		Role:    types.ConversationRoleUser,
		Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: text}},
	}}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func textOf(t *testing.T, output types.ConverseOutput) string {
	t.Helper()
	message, ok := output.(*types.ConverseOutputMemberMessage)
	if !ok || len(message.Value.Content) != 1 {
		t.Fatalf("not one block: %#v", output)
	}
	text, ok := message.Value.Content[0].(*types.ContentBlockMemberText)
	if !ok {
		t.Fatalf("not text: %#v", message.Value.Content[0])
	}
	return text.Value
}

// streamed returns the text and the last event of a stream.
func streamed(t *testing.T, modelID string) (string, types.ConverseStreamOutputMemberMetadata, error) {
	t.Helper()
	answer := must[*bedrockruntime.ConverseStreamOutput](t)(client.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{
		ModelId: &modelID, Messages: say("Say hi to Go"),
	}))
	stream := answer.GetStream()
	defer stream.Close()
	var text strings.Builder
	var metadata types.ConverseStreamOutputMemberMetadata
	for event := range stream.Events() {
		switch event := event.(type) {
		case *types.ConverseStreamOutputMemberContentBlockDelta:
			if delta, ok := event.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
				text.WriteString(delta.Value)
			}
		case *types.ConverseStreamOutputMemberMetadata:
			metadata = *event
		}
	}
	return text.String(), metadata, stream.Err()
}

func TestConverseAndConverseStream(t *testing.T) {
	whole := must[*bedrockruntime.ConverseOutput](t)(client.Converse(ctx, &bedrockruntime.ConverseInput{
		ModelId: aws.String(profile), Messages: say("Say hi to Go"),
	}))
	equal(t, "stop reason", whole.StopReason, types.StopReasonEndTurn)
	text, metadata, err := streamed(t, profile)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "streamed text", text, textOf(t, whole.Output))
	equal(t, "tokens", *metadata.Value.Usage.TotalTokens, *whole.Usage.InputTokens+*whole.Usage.OutputTokens)
}

func TestToolUse(t *testing.T) {
	schema := map[string]any{
		"type":       "object",
		"properties": map[string]any{"city": map[string]any{"type": "string"}},
		"required":   []string{"city"},
	}
	answer := must[*bedrockruntime.ConverseOutput](t)(client.Converse(ctx, &bedrockruntime.ConverseInput{
		ModelId:  aws.String(profile),
		Messages: say("What is the weather in Paris?"),
		ToolConfig: &types.ToolConfiguration{
			Tools: []types.Tool{&types.ToolMemberToolSpec{Value: types.ToolSpecification{
				Name:        aws.String("weather"),
				InputSchema: &types.ToolInputSchemaMemberJson{Value: document.NewLazyDocument(schema)},
			}}},
			ToolChoice: &types.ToolChoiceMemberAny{},
		},
	}))
	equal(t, "stop reason", answer.StopReason, types.StopReasonToolUse)
	content := answer.Output.(*types.ConverseOutputMemberMessage).Value.Content
	use, ok := content[len(content)-1].(*types.ContentBlockMemberToolUse)
	if !ok {
		t.Fatalf("no tool use: %#v", content)
	}
	var input struct{ City string }
	if err := use.Value.Input.UnmarshalSmithyDocument(&input); err != nil || input.City == "" {
		t.Errorf("input of the tool: %+v, %v", input, err)
	}
}

func TestErrors(t *testing.T) {
	_, err := client.Converse(ctx, &bedrockruntime.ConverseInput{
		ModelId: aws.String(profile + ".fault-model-error"), Messages: say("Hi"),
	})
	var failed *types.ModelErrorException
	if !errors.As(err, &failed) {
		t.Fatalf("not a ModelErrorException: %v", err)
	}
	equal(t, "original status", *failed.OriginalStatusCode, 500)
	text, _, err := streamed(t, profile+".fault-stream-throttling-after-1")
	var throttled *types.ThrottlingException
	if !errors.As(err, &throttled) || text == "" {
		t.Errorf("not a ThrottlingException after text: %v after %q", err, text)
	}
}

func TestCountTokens(t *testing.T) {
	count := func(id string) (*bedrockruntime.CountTokensOutput, error) {
		return client.CountTokens(ctx, &bedrockruntime.CountTokensInput{
			ModelId: &id,
			Input:   &types.CountTokensInputMemberConverse{Value: types.ConverseTokensRequest{Messages: say("Say hi to Go")}},
		})
	}
	counted := must[*bedrockruntime.CountTokensOutput](t)(count(model))
	_, metadata, err := streamed(t, profile)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "input tokens", *counted.InputTokens, *metadata.Value.Usage.InputTokens)
	_, err = count(profile)
	var refused *types.ValidationException
	if !errors.As(err, &refused) {
		t.Errorf("a profile counts tokens: %v", err)
	}
}

func embed(t *testing.T, text string) []float64 {
	t.Helper()
	body := must[[]byte](t)(json.Marshal(map[string]any{"inputText": text, "dimensions": 256}))
	answer := must[*bedrockruntime.InvokeModelOutput](t)(client.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{
		ModelId: aws.String(embedding), Body: body, ContentType: aws.String("application/json"),
	}))
	var embedded struct{ Embedding []float64 }
	if err := json.Unmarshal(answer.Body, &embedded); err != nil {
		t.Fatal(err)
	}
	equal(t, "dimensions", len(embedded.Embedding), 256)
	return embedded.Embedding
}

func TestInvokeModel(t *testing.T) {
	question := embed(t, "How do I reset my password?")
	nearness := func(other []float64) (sum float64) {
		for i := range other {
			sum += question[i] * other[i]
		}
		return sum
	}
	if near, far := nearness(embed(t, "Reset a forgotten password")), nearness(embed(t, "Opening hours of the canteen")); near < far+0.2 {
		t.Errorf("near %v, far %v", near, far)
	}
	if length := nearness(question); math.Abs(length-1) > 1e-3 {
		t.Errorf("length %v", length)
	}
}

func TestInvokeModelWithResponseStream(t *testing.T) {
	body := []byte(`{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "Say hi"}]}`)
	whole := must[*bedrockruntime.InvokeModelOutput](t)(client.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{
		ModelId: aws.String(profile), Body: body, ContentType: aws.String("application/json"),
	}))
	var message struct{ Content []struct{ Text string } }
	if err := json.Unmarshal(whole.Body, &message); err != nil {
		t.Fatal(err)
	}
	answer := must[*bedrockruntime.InvokeModelWithResponseStreamOutput](t)(client.InvokeModelWithResponseStream(ctx,
		&bedrockruntime.InvokeModelWithResponseStreamInput{ModelId: aws.String(profile), Body: body, ContentType: aws.String("application/json")}))
	stream := answer.GetStream()
	defer stream.Close()
	var text, last string
	for event := range stream.Events() {
		var chunk struct {
			Type  string
			Delta struct{ Text string }
		}
		if err := json.Unmarshal(event.(*types.ResponseStreamMemberChunk).Value.Bytes, &chunk); err != nil {
			t.Fatal(err)
		}
		text += chunk.Delta.Text
		last = chunk.Type
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	equal(t, "last chunk", last, "message_stop")
	equal(t, "text", text, message.Content[0].Text)
}

func TestApplyGuardrail(t *testing.T) {
	answer := must[*bedrockruntime.ApplyGuardrailOutput](t)(client.ApplyGuardrail(ctx, &bedrockruntime.ApplyGuardrailInput{
		GuardrailIdentifier: aws.String("gr1"),
		GuardrailVersion:    aws.String("1"),
		Source:              types.GuardrailContentSourceOutput,
		Content: []types.GuardrailContentBlock{&types.GuardrailContentBlockMemberText{
			Value: types.GuardrailTextBlock{Text: aws.String("Write to ann@example.com")},
		}},
	}))
	equal(t, "action", answer.Action, types.GuardrailActionGuardrailIntervened)
	equal(t, "output", *answer.Outputs[0].Text, "Write to {EMAIL}")
	pii := answer.Assessments[0].SensitiveInformationPolicy.PiiEntities[0]
	equal(t, "match", *pii.Match, "ann@example.com")
}

func TestAssumeRole(t *testing.T) {
	role := "arn:aws:iam::111122223333:role/research"
	tokens := sts.NewFromConfig(own)
	assume := stscreds.NewAssumeRoleProvider(tokens, role, func(options *stscreds.AssumeRoleOptions) {
		options.RoleSessionName = "smoke-go"
		options.Tags = []ststypes.Tag{{Key: aws.String("team"), Value: aws.String("search")}}
	})
	session := configure(aws.NewCredentialsCache(assume))
	identity := must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(session).GetCallerIdentity(ctx, nil))
	equal(t, "account", *identity.Account, "111122223333")
	equal(t, "principal", *identity.Arn, "arn:aws:sts::111122223333:assumed-role/research/smoke-go")
	must[*bedrockruntime.ConverseOutput](t)(bedrockruntime.NewFromConfig(session).Converse(ctx, &bedrockruntime.ConverseInput{
		ModelId: aws.String(profile), Messages: say("Hi"),
	}))
}
