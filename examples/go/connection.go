package main

import (
	"context"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const maxAnswerBytes = 32 << 20

// defaultServiceConfig is the service config that docs/clients.md recommends: deadline, retries and
// round_robin.
func defaultServiceConfig() (string, error) {
	config, err := os.ReadFile("../service_config.json")
	return string(config), err
}

// dial connects to the gateway. Use dns:///NAME:PORT of a headless Service to spread calls over its
// pods.
func dial(address, serviceConfig string, idle time.Duration) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		// One delta of a tool's input, or an image, can be larger than the default of 4 MB.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswerBytes)),
		// A dead connection is detected after both times together. The first must be at least 10 s in
		// grpc-go.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: idle, Timeout: 10 * time.Second, PermitWithoutStream: true}),
	}
	if file := os.Getenv("BEDROCK_GRPC_TOKEN_FILE"); file != "" {
		options = append(options, grpc.WithPerRPCCredentials(tokenFile(file)))
	}
	return grpc.NewClient(address, options...)
}

// tokenFile sends the token in a file. The file is replaced before the token expires, so each call
// reads it.
type tokenFile string

func (file tokenFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(string(file))
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, err
}

// RequireTransportSecurity should return true with TLS.
func (tokenFile) RequireTransportSecurity() bool { return false }
