package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// sidecar describes the proxy of a service mesh beside the gateway: how it ends. It carries the
// pod's calls, and the gateway's connections to Bedrock.
type sidecar struct {
	// native: the kubelet stops it after the gateway. Otherwise it stops both at the same time.
	native bool
	// waits: after SIGTERM, it works on until it has no connection. Otherwise it exits at once.
	waits bool
}

var (
	// earlySidecar exits before the gateway has drained.
	earlySidecar = &sidecar{}
	// waitingSidecar is like Istio's with EXIT_ON_ZERO_ACTIVE_CONNECTIONS.
	waitingSidecar = &sidecar{waits: true}
	// nativeSidecar is an init container with `restartPolicy: Always`.
	nativeSidecar = &sidecar{native: true}
)

// minimumDrain is the least time that a waiting sidecar works on: Istio's default of
// MINIMUM_DRAIN_DURATION.
const minimumDrain = 5 * time.Second

// sidecarCommand is the first argument that makes this program a sidecar.
const sidecarCommand = "sidecar"

// behind returns the gateway's own address in a pod whose address belongs to the sidecar.
func behind(pod netip.Addr) netip.Addr {
	bytes := pod.As4()
	bytes[1] = 2
	return netip.AddrFrom4(bytes)
}

// startSidecar starts the proxy of a pod before its gateway, and waits until it accepts
// connections.
func (c *cluster) startSidecar(p *pod) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	emulator, err := url.Parse(c.bedrock.url)
	if err != nil {
		return err
	}
	inbound := fmt.Sprintf("%v:%d", p.address, c.port)
	outbound := fmt.Sprintf("%s:%d", emulator.Hostname(), ports[0])
	p.bedrockURL = "https://" + outbound
	self, err := os.Executable()
	if err != nil {
		return err
	}
	wait := "0s"
	if c.sidecar.waits {
		wait = c.minimumDrain.String()
	}
	p.proxy, err = start(fmt.Sprintf("sidecar-%v", p.address), c.directory, environment(), self, sidecarCommand, wait,
		fmt.Sprintf("%s=%v:%d", inbound, behind(p.address), c.port), outbound+"="+emulator.Host)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; {
		connection, err := net.DialTimeout("tcp", inbound, time.Second)
		if err == nil {
			return connection.Close()
		}
		if p.proxy.endsWithin(c.life.probePeriod) || time.Now().After(deadline) {
			p.proxy.kill()
			return fmt.Errorf("the sidecar does not listen: %w", p.proxy.died())
		}
	}
}

// endSidecar waits until the proxy has ended, for at most this time.
func (p *pod) endSidecar(limit time.Duration) error {
	if p.sidecar.native {
		p.proxy.signal(syscall.SIGTERM)
	}
	if !p.proxy.endsWithin(limit) {
		p.proxy.kill()
		return fmt.Errorf("%s: SIGKILL was needed", p.proxy.name)
	}
	if p.proxy.status.ExitCode() != 0 {
		return p.proxy.died()
	}
	return nil
}

// runSidecar forwards connections until SIGTERM. The arguments are the least time to work on after
// SIGTERM, or 0s to exit at once, and pairs of addresses: LISTEN=TO.
func runSidecar(arguments []string) error {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	least, err := time.ParseDuration(arguments[0])
	if err != nil {
		return err
	}
	var open atomic.Int64
	closed := make(chan struct{}, 1)
	for _, pair := range arguments[1:] {
		listen, to, found := strings.Cut(pair, "=")
		if !found {
			return fmt.Errorf("not LISTEN=TO: %s", pair)
		}
		listener, err := net.Listen("tcp", listen)
		if err != nil {
			return err
		}
		go func() {
			for {
				connection, err := listener.Accept()
				if errors.Is(err, net.ErrClosed) {
					return
				} else if err != nil {
					// Such as a connection that the client has closed already.
					continue
				}
				open.Add(1)
				go func() {
					forward(connection.(*net.TCPConn), to)
					open.Add(-1)
					select {
					case closed <- struct{}{}:
					default:
					}
				}()
			}
		}()
	}
	<-terminated
	if least == 0 {
		return nil
	}
	time.Sleep(least)
	for open.Load() > 0 {
		<-closed
	}
	return nil
}

// forward copies both directions until both have ended.
func forward(client *net.TCPConn, to string) {
	defer client.Close()
	connection, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{}, 2)
	copied := func(into, from *net.TCPConn) {
		if _, err := io.Copy(into, from); err != nil {
			into.Close()
			from.Close()
		}
		into.CloseWrite()
		done <- struct{}{}
	}
	go copied(server, client)
	go copied(client, server)
	<-done
	<-done
}

// meshes runs pods with sidecars. One that exits early breaks the streams of its pod; with the
// settings of docs/kubernetes.md, clients notice nothing.
func (d *drill) meshes() error {
	defer func() { d.sidecar = nil }()
	d.sidecar = earlySidecar
	going, err := d.add()
	if err != nil {
		return err
	}
	d.sidecar = nil
	err = d.scenario("scale-in of a pod whose sidecar exits at SIGTERM", func() (string, error) {
		open := d.load.openOn()[going.address.String()]
		d.remove(going)
		ends, err := d.drained()
		return fmt.Sprintf("%d streams were open on the pod; %s, of a drain.limit of %v", open, ends, d.life.drainLimit), err
	}, func(saw *tally) []string {
		return append(onlyOn(going.address.String(), "", saw), noneFailed(saw)...)
	})
	if err != nil {
		return err
	}
	return d.scenario("updates to sidecars that wait for zero connections, to native sidecars, and to none", func() (string, error) {
		for _, next := range []*sidecar{waitingSidecar, nativeSidecar, nil} {
			d.sidecar = next
			if err := d.update(); err != nil {
				return "", err
			}
		}
		return d.drained()
	}, func(saw *tally) []string {
		wrong := nothing(saw)
		if pods := 4 * d.life.replicas; len(saw.served) < pods {
			wrong = append(wrong, fmt.Sprintf("%d of %d pods got calls", len(saw.served), pods))
		}
		return wrong
	})
}
