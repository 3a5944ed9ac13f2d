package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// OpenAI's chat completions over HTTP/1.1, streamed as server-sent events.
type openAI struct {
	options
	client *http.Client
	body   []byte
}

type chunk struct {
	Choices []struct {
		Delta, Message struct{ Content string }
	}
	Usage *struct {
		CompletionTokens int `json:"completion_tokens"`
	}
	Error json.RawMessage
}

func newOpenAI(o options) (api, error) {
	request := map[string]any{"model": o.model, "messages": []any{map[string]string{"role": "user", "content": prompt}}}
	if !o.unary {
		request["stream"] = true
		request["stream_options"] = map[string]bool{"include_usage": true}
	}
	body, err := json.Marshal(request)
	return &openAI{o, httpClient(o), body}, err
}

func httpClient(o options) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.concurrency, DisableCompression: true}}
}

// Sends a request. A response other than 200 is an error.
func post(ctx context.Context, client *http.Client, o options, url string, body []byte) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("content-type", "application/json")
	for name, value := range o.headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return nil, fmt.Errorf("%s %s", response.Status, text)
	}
	return response.Body, nil
}

func (api *openAI) call(ctx context.Context, _ int) (answer, error) {
	var a answer
	body, err := post(ctx, api.client, api.options, api.url, api.body)
	if err != nil {
		return a, err
	}
	defer body.Close()
	if api.unary {
		var c chunk
		if err := json.NewDecoder(body).Decode(&c); err != nil {
			return a, err
		}
		_, _ = io.Copy(io.Discard, body)
		return a, a.take(&c)
	}
	lines := bufio.NewReader(body)
	done := false
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return a, err
		}
		data, isData := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data: "))
		if !isData {
			continue
		}
		if string(data) == "[DONE]" {
			done = true
			continue
		}
		var c chunk
		if err := json.Unmarshal(data, &c); err != nil {
			return a, err
		}
		if err := a.take(&c); err != nil {
			return a, err
		}
	}
	if !done {
		return a, errors.New("the stream ended without [DONE]")
	}
	return a, nil
}

func (a *answer) take(c *chunk) error {
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return fmt.Errorf("error in the stream: %s", c.Error)
	}
	for _, choice := range c.Choices {
		a.text(choice.Delta.Content)
		a.text(choice.Message.Content)
	}
	if c.Usage != nil {
		a.output = c.Usage.CompletionTokens
	}
	return nil
}
