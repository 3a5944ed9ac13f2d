// Command load makes calls to one system, checks that every answer is complete, and prints the
// times and its own CPU time as JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const prompt = "Why is the sky blue?"

// An answer, as a client counts it.
type answer struct {
	first  time.Time // when the first text arrived
	pieces int       // pieces of text
	output int       // output tokens in the usage
}

func (a *answer) text(piece string) {
	if piece == "" {
		return
	}
	if a.pieces == 0 {
		a.first = time.Now()
	}
	a.pieces++
}

// An API through which calls are made.
type api interface {
	call(ctx context.Context, slot int) (answer, error)
}

type headers map[string]string

func (h headers) String() string { return "" }

func (h headers) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q is not NAME=VALUE", text)
	}
	h[name] = value
	return nil
}

type options struct {
	api, url, model string
	headers         headers
	unary           bool
	concurrency     int
	channels        int
	coalesce        time.Duration
}

func main() {
	o := options{headers: headers{}}
	flag.StringVar(&o.api, "api", "openai", "openai, grpc or bedrock (HTTP without an SDK)")
	flag.StringVar(&o.url, "url", "", "grpc: HOST:PORT; openai: URL of the method; bedrock: endpoint")
	flag.StringVar(&o.model, "model", "", "name of the model")
	flag.Var(o.headers, "header", "NAME=VALUE; can be repeated")
	flag.BoolVar(&o.unary, "unary", false, "call without streaming")
	flag.IntVar(&o.concurrency, "concurrency", 16, "calls at a time")
	flag.IntVar(&o.channels, "channels", 1, "gRPC connections")
	flag.DurationVar(&o.coalesce, "coalesce", 0, "gRPC: StreamInvokeRequest.coalesce")
	calls := flag.Int("calls", 1000, "number of calls")
	tokens := flag.Int("tokens", 50, "output tokens of a complete answer")
	ramp := flag.Duration("ramp", 0, "time over which the first calls are spread")
	timeout := flag.Duration("timeout", time.Minute, "timeout of a call")
	flag.Parse()

	api, err := open(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	var (
		begun        = time.Now()
		cpu          = cpuTime()
		left         atomic.Int64
		lock         sync.Mutex
		group        sync.WaitGroup
		firsts, alls []float64
		failures     = map[string]int{}
		complete     int
		pieces       int
	)
	left.Store(int64(*calls))
	for slot := range o.concurrency {
		group.Go(func() {
			time.Sleep(*ramp * time.Duration(slot) / time.Duration(o.concurrency))
			for left.Add(-1) >= 0 {
				ctx, cancel := context.WithTimeout(context.Background(), *timeout)
				start := time.Now()
				a, err := api.call(ctx, slot)
				took := time.Since(start)
				cancel()
				lock.Lock()
				if err != nil {
					failures[err.Error()]++
				} else {
					firsts = append(firsts, milliseconds(a.first.Sub(start)))
					alls = append(alls, milliseconds(took))
					pieces += a.pieces
					// Joined deltas are fewer pieces.
					expected := *tokens
					if o.unary {
						expected = 1
					}
					if a.output == *tokens && (a.pieces == expected || o.coalesce > 0 && a.pieces > 0) {
						complete++
					}
				}
				lock.Unlock()
			}
		})
	}
	group.Wait()
	seconds := time.Since(begun).Seconds()
	slices.Sort(firsts)
	slices.Sort(alls)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"calls": *calls, "complete": complete, "failures": failures, "seconds": seconds,
		"pieces": float64(pieces) / float64(*calls), "client_cpu_ms": milliseconds(cpuTime()-cpu) / float64(*calls),
		"first_ms": quantiles(firsts), "all_ms": quantiles(alls),
	})
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// p50, p99 and the maximum.
func quantiles(sorted []float64) []float64 {
	if len(sorted) == 0 {
		return nil
	}
	last := float64(len(sorted) - 1)
	return []float64{sorted[int(math.Round(last*0.5))], sorted[int(math.Round(last*0.99))], sorted[len(sorted)-1]}
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func open(o options) (api, error) {
	switch o.api {
	case "openai":
		return newOpenAI(o)
	case "grpc":
		return newGRPC(o)
	case "bedrock":
		return newBedrock(o), nil
	}
	return nil, fmt.Errorf("unknown API %q: use openai, grpc or bedrock", o.api)
}
