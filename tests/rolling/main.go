// rolling tests that clients do not notice when pods start and stop, and shows what they see where
// that cannot be avoided. It runs real processes on loopback under load, in Kubernetes' order and
// with the chart's times.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver/dns"
)

const (
	// serviceName is the chart's headless Service, for clients of the release `bedrock-grpc` in
	// the namespace `inference`.
	serviceName = "bedrock-grpc-headless.inference.svc.cluster.local"
	// namesKept is the maximum age of a cached DNS answer: the TTL of kubeadm's CoreDNS and of
	// NodeLocal DNSCache.
	namesKept = 30 * time.Second
	// namesAsked is the minimum time between two DNS queries of a client: 30 s in grpc-go,
	// grpc-java, grpc-js and the C core.
	namesAsked = 30 * time.Second
	// connectionAge is far below the default of 15 min. So clients lose connections and resolve
	// names at every point of an update.
	connectionAge = 100 * time.Second
	// shortest is the minimum duration of a stream.
	shortest = 50 * time.Second
)

// options are the settings of a run.
type options struct {
	binary, emulator, helm, root, work string
	streams, updates, changes          int
	factor, rate                       float64
	short, onlyUpdates                 bool
	longest                            time.Duration
	set                                []string
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == sidecarCommand {
		if err := runSidecar(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.binary, "binary", "", "the binary that runs as the gateway")
	flag.StringVar(&o.emulator, "emulator", "", "the binary that runs as the emulator; default: the same")
	flag.StringVar(&o.helm, "helm", "helm", "the Helm binary that renders the chart")
	flag.StringVar(&o.root, "root", ".", "the repository")
	flag.StringVar(&o.work, "work", "", "an empty folder for configs and logs")
	flag.IntVar(&o.streams, "streams", 1000, "number of streams that are always open")
	flag.IntVar(&o.updates, "updates", 20, "number of consecutive rolling updates")
	flag.IntVar(&o.changes, "changes", 20, "number of changes of the config, and of the certificate, of running pods")
	flag.Float64Var(&o.factor, "factor", 10, "the factor by which all times are divided")
	flag.Float64Var(&o.rate, "tokens-per-second", 2, "the rate of each stream")
	flag.DurationVar(&o.longest, "longest", 300*time.Second, "the maximum duration of a stream, before the division")
	flag.BoolVar(&o.short, "short", false, "a short run for CI: 200 streams of at most 150 s, 3 updates, 8 changes of config and certificate, times divided by 20")
	flag.BoolVar(&o.onlyUpdates, "only-updates", false, "run only the rolling updates")
	flag.Func("set", "a value of the chart, as for helm --set; can be repeated", func(value string) error {
		o.set = append(o.set, value)
		return nil
	})
	flag.Parse()
	if o.short {
		o.streams, o.longest, o.updates, o.changes, o.factor = 200, 150*time.Second, 3, 8, 20
	}
	if o.emulator == "" {
		o.emulator = o.binary
	}
	// All connections are on loopback, so they must not use this machine's proxy.
	for _, name := range []string{"http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		os.Unsetenv(name)
	}

	wrong, err := o.run()
	for _, each := range wrong {
		fmt.Printf("WRONG: %s\n", each)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	if err != nil || len(wrong) > 0 {
		os.Exit(1)
	}
	fmt.Println("all scenarios passed")
}

// run returns the deviations that clients saw. An error means that the test itself could not run.
func (o *options) run() ([]string, error) {
	rendering := func(set ...string) (*lifecycle, error) {
		return render(o.helm, o.root, o.factor, append(set, o.set...))
	}
	life, err := rendering()
	if err != nil {
		return nil, err
	}
	fmt.Printf("%d streams of %v to %v at %v tokens/s, over %d clients with examples/service_config.json, every second one with health checks\n",
		o.streams, o.scaled(shortest), o.scaled(o.longest), o.rate, channels)
	fmt.Printf("divided by %v: times of the chart (%v), DNS TTL (now %v), minimum time between two DNS queries of a client (now %v), limits.connection_age (now %v)\n",
		o.factor, life, o.scaled(namesKept), o.scaled(namesAsked), o.scaled(connectionAge))

	c, err := o.cluster(life)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for range life.replicas {
		if _, err := c.add(); err != nil {
			return nil, err
		}
	}

	dns.SetMinResolutionInterval(o.scaled(namesAsked))
	target := fmt.Sprintf("dns://%s/%s:%d", c.names.address(), serviceName, c.port)
	fmt.Printf("clients call %s\n", target)
	l, err := dial(target, filepath.Join(o.root, "examples/service_config.json"), insecure.NewCredentials())
	if err != nil {
		return nil, err
	}
	// There are a fifth more callers than streams: after a stream has ended, its caller needs time
	// to begin the next one, most of all on a loaded machine.
	l.begin(o.streams+o.streams/5, o.tokens(shortest), o.tokens(o.longest))

	d := &drill{cluster: c, load: l, options: o, render: rendering}
	if err := d.all(); err != nil {
		return d.wrong, err
	}
	fmt.Printf("\nclients made %d DNS queries\n", c.names.questions())
	l.close()
	d.between()
	return d.wrong, nil
}

// cluster returns a cluster that has no pods yet.
func (o *options) cluster(life *lifecycle) (*cluster, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	names, err := serveNames(serviceName, o.scaled(namesKept))
	if err != nil {
		return nil, err
	}
	bedrock, err := startBedrock(o.emulator, o.work, o.rate)
	if err != nil {
		return nil, err
	}
	return &cluster{binary: o.binary, directory: o.work, bedrock: bedrock, names: names, life: life, port: ports[0], adminPort: ports[1],
		connectionAge: o.scaled(connectionAge), minimumDrain: o.scaled(minimumDrain)}, nil
}

func (o *options) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) / o.factor) }

// tokens returns the number of tokens of a stream of this duration.
func (o *options) tokens(d time.Duration) int32 { return int32(o.scaled(d).Seconds() * o.rate) }

// freePorts returns unused ports on loopback.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
