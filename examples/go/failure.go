package main

import (
	"fmt"
	"time"

	rpccode "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/bedrock-grpc/bedrock-grpc/examples/go/inferencev1"
)

// failure is the content of a failed call: a code, a stable reason, when to retry, and Bedrock's
// own error.
type failure struct {
	code       codes.Code
	message    string
	reason     string
	retryDelay *time.Duration
	fields     []string
	upstream   *pb.UpstreamError
}

func failureOf(err error) failure {
	// A cancel or deadline of the client itself has no details, because the gateway is not involved.
	s := status.Convert(err)
	f := failure{code: s.Code(), message: s.Message()}
	for _, detail := range s.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			f.reason = detail.Reason
		case *errdetails.RetryInfo:
			delay := detail.RetryDelay.AsDuration()
			f.retryDelay = &delay
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				f.fields = append(f.fields, violation.Field)
			}
		case *pb.UpstreamError:
			f.upstream = detail
		}
	}
	return f
}

func (f failure) String() string {
	said := fmt.Sprintf("%v %s: %s", f.code, f.reason, f.message)
	if f.retryDelay != nil {
		said += fmt.Sprintf("\n  try again in %v", *f.retryDelay)
	}
	if f.upstream != nil {
		said += fmt.Sprintf("\n  Bedrock: %s (%v), request %s", f.upstream.Exception, f.upstream.Phase, f.upstream.BedrockRequestId)
	}
	return said
}

// codeName is the code as every other language writes it: DEADLINE_EXCEEDED, where Go has
// DeadlineExceeded.
func codeName(code codes.Code) string {
	return rpccode.Code_name[int32(code)]
}
