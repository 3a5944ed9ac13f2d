// rolling proves that pods come and go without a client's noticing, and shows what clients see where they must notice: real processes
// on loopback, in the order and with the times that the chart renders, under load.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/resolver/dns"
)

const (
	// serviceName is the chart's headless Service, as clients of the release `bedrock-grpc` in the namespace `inference` know it.
	serviceName = "bedrock-grpc-headless.inference.svc.cluster.local"
	// namesKept is how long caches may answer what was true: the TTL of kubeadm's CoreDNS, and NodeLocal DNSCache's.
	namesKept = 30 * time.Second
	// namesAsked is how often clients ask again at most: 30 s in grpc-go, grpc-java, grpc-js and the C core.
	namesAsked = 30 * time.Second
	// connectionAge is far below the default of 15 min, so that clients lose connections, and ask for names, at every point of an update.
	connectionAge = 150 * time.Second
	// How long streams are.
	shortest, longest = 50 * time.Second, 300 * time.Second
)

func main() {
	binary := flag.String("binary", "", "the bedrock-grpc that serves")
	emulator := flag.String("emulator", "", "the bedrock-grpc that plays Bedrock; default: the same")
	helm := flag.String("helm", "", "helm, for the chart")
	root := flag.String("root", ".", "the repository")
	work := flag.String("work", "", "where configs and logs go")
	streams := flag.Int("streams", 1000, "streams that are always open")
	updates := flag.Int("updates", 20, "rolling updates in a row")
	factor := flag.Float64("factor", 10, "by how much all times are divided")
	rate := flag.Float64("tokens-per-second", 2, "the pace of each stream")
	short := flag.Bool("short", false, "the form for CI: 200 streams, 3 updates, times divided by 20")
	flag.Parse()
	if *short {
		*streams, *updates, *factor = 200, 3, 20
	}
	if *emulator == "" {
		*emulator = *binary
	}
	// What this machine's proxy is for is not on it.
	for _, name := range []string{"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"} {
		os.Unsetenv(name)
	}

	wrong, err := run(*binary, *emulator, *helm, *root, *work, *streams, *updates, *factor, *rate, *short)
	for _, each := range wrong {
		fmt.Printf("WRONG: %s\n", each)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	if err != nil || len(wrong) > 0 {
		os.Exit(1)
	}
	fmt.Println("\nrolling: as it should be")
}

func run(binary, emulator, helm, root, work string, streams, updates int, factor, rate float64, short bool) ([]string, error) {
	rendering := func(set ...string) (*lifecycle, error) { return render(helm, root, factor, set...) }
	life, err := rendering()
	if err != nil {
		return nil, err
	}
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) / factor) }
	fmt.Printf("%d streams of %v to %v at %v tokens/s, over %d clients with examples/service_config.json, every second one with health checks\n",
		streams, scaled(shortest), scaled(longest), rate, channels)
	fmt.Printf("divided by %v: times of the chart (%v), of caches of names (now %v), of clients' asking for them (now at most every %v), limits.connection_age (now %v)\n",
		factor, life, scaled(namesKept), scaled(namesAsked), scaled(connectionAge))

	bedrock, err := startBedrock(emulator, work, rate)
	if err != nil {
		return nil, err
	}
	names, err := serveNames(serviceName, scaled(namesKept))
	if err != nil {
		bedrock.kill()
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		bedrock.kill()
		return nil, err
	}
	c := &cluster{binary: binary, directory: work, bedrock: bedrock, names: names, life: life, port: ports[0], adminPort: ports[1], connectionAge: scaled(connectionAge)}
	defer c.close()
	for range life.replicas {
		if _, err := c.add(); err != nil {
			return nil, err
		}
	}

	dns.SetMinResolutionInterval(scaled(namesAsked))
	l, err := dial(fmt.Sprintf("dns://%s/%s:%d", names.address(), serviceName, ports[0]), filepath.Join(root, "examples/service_config.json"))
	if err != nil {
		return nil, err
	}
	tokens := func(d time.Duration) int32 { return int32(scaled(d).Seconds() * rate) }
	// A tenth more, since a stream that has ended leaves its place empty until the next one has begun.
	l.begin(streams+streams/10, tokens(shortest), tokens(longest))

	d := &drill{cluster: c, load: l, streams: streams, updates: updates, short: short, render: rendering}
	if err := d.all(); err != nil {
		return d.wrong, err
	}
	fmt.Printf("\nclients asked for the name %d times\n", names.questions())
	l.close()
	return append(d.wrong, nothing(l.take())...), nil
}

// freePorts are ports that nobody has on loopback.
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
