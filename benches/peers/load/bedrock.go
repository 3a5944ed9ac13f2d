package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// Bedrock's own API over HTTP/1.1, unsigned: the baseline of latency.
type bedrock struct {
	options
	client *http.Client
	method string
	body   []byte
}

type event struct {
	Delta  struct{ Text string }
	Output struct {
		Message struct{ Content []struct{ Text string } }
	}
	Usage *struct{ OutputTokens int }
}

func newBedrock(o options) api {
	method := "/converse-stream"
	if o.unary {
		method = "/converse"
	}
	body := `{"messages":[{"role":"user","content":[{"text":"` + prompt + `"}]}]}`
	return &bedrock{o, httpClient(o), o.url + "/model/" + url.PathEscape(o.model) + method, []byte(body)}
}

func (api *bedrock) call(ctx context.Context, _ int) (answer, error) {
	var a answer
	body, err := post(ctx, api.client, api.options, api.method, api.body)
	if err != nil {
		return a, err
	}
	defer body.Close()
	if api.unary {
		var e event
		if err := json.NewDecoder(body).Decode(&e); err != nil {
			return a, err
		}
		a.event(&e)
		return a, nil
	}
	decoder := eventstream.NewDecoder()
	var buffer []byte
	for {
		message, err := decoder.Decode(body, buffer[:0])
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		var e event
		if err := json.Unmarshal(message.Payload, &e); err != nil {
			return a, err
		}
		a.event(&e)
	}
}

func (a *answer) event(e *event) {
	a.text(e.Delta.Text)
	for _, block := range e.Output.Message.Content {
		a.text(block.Text)
	}
	if e.Usage != nil {
		a.output = e.Usage.OutputTokens
	}
}
