package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tally counts what clients saw.
type tally struct {
	streams     int       // The streams that ended successfully.
	calls       int       // The other calls that ended successfully.
	least       int       // The fewest streams that were open at any moment.
	transparent int       // The transparent retries of the library.
	retried     []failure // The attempts that failed and that the retryPolicy retried.
	served      map[string]int
	broken      []failure // The streams that failed after their first event.
	failed      []failure // Failed calls without an event: streams and other calls.
}

// failure describes a call that failed.
type failure struct {
	replica string
	code    codes.Code
	reason  string // Empty if the status has no details: then the client's library created it.
	message string
	retry   bool // Whether the status has a RetryInfo.
	events  int
}

func newTally() *tally { return &tally{served: map[string]int{}, least: math.MaxInt} }

func (t *tally) count(c *call, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A call that found no pod has no replica.
	if c.replica != "" {
		t.served[c.replica]++
	}
	switch {
	case err == nil && c.open:
		t.streams++
	case err == nil:
		t.calls++
	case c.open:
		t.broken = append(t.broken, c.failure(err))
	default:
		t.failed = append(t.failed, c.failure(err))
	}
}

func (c *call) failure(err error) failure {
	s := status.Convert(err)
	f := failure{replica: c.replica, code: s.Code(), message: s.Message(), events: c.events}
	for _, detail := range s.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			f.reason = detail.Reason
		case *errdetails.RetryInfo:
			f.retry = true
		}
	}
	return f
}

// addresses matches the part of a message that differs between pods.
var addresses = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+:\d+`)

func (f failure) String() string {
	reason := "no details"
	if f.reason != "" {
		reason = "reason " + f.reason
	}
	if f.retry {
		reason += ", RetryInfo"
	}
	return fmt.Sprintf("%v, %s: %s", f.code, reason, addresses.ReplaceAllString(f.message, "ADDRESS"))
}

// alike returns one line for each kind of failure.
func alike(failures []failure) []string {
	counts := map[string]int{}
	for _, f := range failures {
		counts[f.String()]++
	}
	var lines []string
	for what, count := range counts {
		lines = append(lines, fmt.Sprintf("%5d x %s", count, what))
	}
	slices.Sort(lines)
	slices.Reverse(lines)
	return lines
}

func (t *tally) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "  %d streams ended successfully, %d broke; %d other calls ended successfully; %d calls failed before the first event\n",
		t.streams, len(t.broken), t.calls, len(t.failed))
	fmt.Fprintf(&out, "  %d attempts were retried by grpc-go itself, %d by the service config's retryPolicy\n", t.transparent, len(t.retried))
	fewest, most := math.MaxInt, 0
	for _, calls := range t.served {
		fewest, most = min(fewest, calls), max(most, calls)
	}
	fmt.Fprintf(&out, "  calls by replica: %d replicas, %d to %d each\n", len(t.served), fewest, most)
	for _, line := range alike(t.retried) {
		fmt.Fprintf(&out, "  retried: %s\n", line)
	}
	for _, line := range alike(t.broken) {
		fmt.Fprintf(&out, "  broken: %s\n", line)
	}
	for _, line := range alike(t.failed) {
		fmt.Fprintf(&out, "  failed: %s\n", line)
	}
	return out.String()
}
