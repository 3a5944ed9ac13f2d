package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/health" // Enables healthCheckConfig.
	"google.golang.org/grpc/keepalive"

	pb "github.com/bedrock-grpc/bedrock-grpc/tests/rolling/inferencev1"
)

// channels is the number of clients. Each has a separate resolver, balancer and connections.
const channels = 20

// load keeps streams open and makes other calls. Its clients are configured as documented.
type load struct {
	connections []*grpc.ClientConn
	stop        context.Context
	end         context.CancelFunc
	running     sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	open    map[string]int    // The number of streams that have begun, by replica.
	known   []map[string]bool // The replicas from which each client has received an answer.
	tally   *tally
}

// dial creates the clients. Every second one also checks the health of pods, as described in
// docs/kubernetes.md.
func dial(target, serviceConfig string, transport credentials.TransportCredentials) (*load, error) {
	plain, err := os.ReadFile(serviceConfig)
	if err != nil {
		return nil, err
	}
	var checking map[string]any
	if err := json.Unmarshal(plain, &checking); err != nil {
		return nil, err
	}
	checking["healthCheckConfig"] = map[string]any{"serviceName": ""}
	withHealth, err := json.Marshal(checking)
	if err != nil {
		return nil, err
	}

	l := &load{open: map[string]int{}, known: make([]map[string]bool, channels), tally: newTally()}
	l.changed = sync.NewCond(&l.mu)
	l.stop, l.end = context.WithCancel(context.Background())
	for n := range channels {
		l.known[n] = map[string]bool{}
		config := plain
		if n%2 == 1 {
			config = withHealth
		}
		connection, err := grpc.NewClient(target,
			grpc.WithTransportCredentials(transport),
			grpc.WithDefaultServiceConfig(string(config)),
			grpc.WithStatsHandler(attempts{l}),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true}),
		)
		if err != nil {
			return nil, err
		}
		l.connections = append(l.connections, connection)
	}
	return l, nil
}

// begin starts callers that always have a stream open. A stream has between shortest and longest
// tokens. Two more callers per client make other calls.
func (l *load) begin(streams int, shortest, longest int32) {
	for n := range streams {
		client := pb.NewInferenceServiceClient(l.connections[n%channels])
		l.forever(n%channels, func(c *call) error {
			tokens := shortest + rand.Int32N(longest-shortest+1)
			return c.stream(context.Background(), client, tokens, func() { l.opened(c) })
		})
	}
	for n, connection := range l.connections {
		inference, targets := pb.NewInferenceServiceClient(connection), pb.NewTargetServiceClient(connection)
		l.forever(n, func(c *call) error { return c.unary(context.Background(), inference) })
		l.forever(n, func(c *call) error {
			err := c.list(context.Background(), targets)
			// The gateway answers at once, so the pause limits the rate.
			l.pause(100 * time.Millisecond)
			return err
		})
	}
}

// forever makes calls one after the other, with one client.
func (l *load) forever(client int, ask func(*call) error) {
	l.running.Go(func() {
		for l.stop.Err() == nil {
			c := &call{}
			err := ask(c)
			l.ended(client, c, err)
			if err != nil {
				// Real clients do not call a stopped service in a tight loop.
				l.pause(100 * time.Millisecond)
			}
		}
	})
}

func (l *load) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-l.stop.Done():
	}
}

// opened counts a stream as open. It is called with the stream's first event.
func (l *load) opened(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.open = true
	l.open[c.where()]++
	l.changed.Broadcast()
}

// again counts an attempt that follows one that failed.
func (l *load) again(lost failure, transparently bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if transparently {
		l.tally.transparent++
	} else {
		l.tally.retried = append(l.tally.retried, lost)
	}
}

func (l *load) ended(client int, c *call, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.open {
		l.open[c.where()]--
	}
	l.tally.count(c, err)
	l.tally.least = min(l.tally.least, l.total())
	if err == nil {
		l.known[client][c.where()] = true
	}
	l.changed.Broadcast()
}

// total returns the number of open streams.
func (l *load) total() (total int) {
	for _, open := range l.open {
		total += open
	}
	return total
}

// openOn returns the number of open streams, by replica.
func (l *load) openOn() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.open)
}

// await waits until a condition is true. It fails after a minute.
func (l *load) await(what string, so func() bool) error {
	late := false
	timer := time.AfterFunc(patience, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		late = true
		l.changed.Broadcast()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !so() {
		if late {
			return fmt.Errorf("not reached within a minute: %s", what)
		}
		l.changed.Wait()
	}
	return nil
}

// awaitRest waits until this number of streams is open, and every client has received an answer
// from every pod.
func (l *load) awaitRest(streams int, pods []*pod) error {
	return l.await(fmt.Sprintf("%d open streams, and an answer from every pod to every client", streams), func() bool {
		for _, known := range l.known {
			for _, p := range pods {
				if !known[p.address.String()] {
					return false
				}
			}
		}
		return l.total() >= streams
	})
}

// take returns the counts since its last call.
func (l *load) take() *tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.tally
	l.tally = newTally()
	return taken
}

// close starts no further calls, and waits for the open ones.
func (l *load) close() {
	l.end()
	l.running.Wait()
	for _, connection := range l.connections {
		connection.Close()
	}
}
