package main

import (
	"context"
	"encoding/json"
	"math"

	pb "github.com/bedrock-grpc/bedrock-grpc/examples/go/inferencev1"
)

// titanBody is a request in the model's own format, here that of Titan Text Embeddings V2.
type titanBody struct {
	InputText  string `json:"inputText"`
	Dimensions int    `json:"dimensions"`
	Normalize  bool   `json:"normalize"`
}

// embedding is the vector of a text.
func embedding(ctx context.Context, client pb.ModelServiceClient, target, text string) ([]float64, error) {
	body, err := json.Marshal(titanBody{InputText: text, Dimensions: 256, Normalize: true})
	if err != nil {
		return nil, err
	}
	reply, err := client.InvokeModel(ctx, &pb.InvokeModelRequest{Target: target, Body: body})
	if err != nil {
		return nil, err
	}
	var answer struct{ Embedding []float64 }
	err = json.Unmarshal(reply.Body, &answer)
	return answer.Embedding, err
}

// nearest is the one of the others whose meaning is nearest to the text's. It makes one call for
// each text.
func nearest(ctx context.Context, client pb.ModelServiceClient, target, text string, others []string) (string, error) {
	wanted, err := embedding(ctx, client, target, text)
	if err != nil {
		return "", err
	}
	best, found := math.Inf(-1), ""
	for _, other := range others {
		vector, err := embedding(ctx, client, target, other)
		if err != nil {
			return "", err
		}
		if it := similarity(wanted, vector); it > best {
			best, found = it, other
		}
	}
	return found, nil
}

// similarity is the cosine similarity of two vectors of the same model. Normalized vectors have
// length 1, so it is their dot product.
func similarity(a, b []float64) float64 {
	sum := 0.0
	for n := range min(len(a), len(b)) {
		sum += a[n] * b[n]
	}
	return sum
}
