package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pod is one replica: a process with its own address.
type pod struct {
	*process
	address netip.Addr
	life    *lifecycle // The values with which the pod was created.
	admin   string
	volume  *volume

	// The sidecar with which the pod was created, and its process. nil: none.
	sidecar    *sidecar
	proxy      *process
	bedrockURL string // Where the gateway calls Bedrock: directly or through the sidecar.
}

// ending describes how a pod ended.
type ending struct {
	pod   string
	code  int
	took  time.Duration // The time since SIGTERM.
	error error         // Set if the pod did not end as expected.
}

// startPod starts a replica and waits until its startup probe succeeds. It does not add the replica
// to the Service.
func (c *cluster) startPod(address netip.Addr) (*pod, error) {
	life := c.life
	p := &pod{address: address, life: life, admin: fmt.Sprintf("%v:%d", address, c.adminPort), sidecar: c.sidecar, bedrockURL: c.bedrock.url}
	name := fmt.Sprintf("pod-%v", address)
	p.volume = &volume{folder: filepath.Join(c.directory, name)}
	// A pod that is started again gets a new volume.
	if err := os.RemoveAll(p.volume.folder); err != nil {
		return nil, err
	}
	if p.sidecar != nil {
		if err := c.startSidecar(p); err != nil {
			return nil, err
		}
	}
	if err := c.configure(p, life.config); err != nil {
		return nil, err
	}
	var err error
	if p.process, err = start(name, c.directory, environment(), c.binary, "serve", "--config", p.volume.path(configFile)); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); !p.ready(); {
		if p.endsWithin(life.probePeriod) || time.Now().After(deadline) {
			p.kill()
			return nil, fmt.Errorf("not ready in time: %w", p.died())
		}
	}
	return p, nil
}

const configFile = "config.yaml"

// configure writes a pod's config, as a kubelet does.
func (c *cluster) configure(p *pod, chart map[string]any) error {
	text, err := json.Marshal(c.configOf(p, chart))
	if err != nil {
		return err
	}
	return p.volume.write(map[string][]byte{configFile: text})
}

// configOf returns the chart's config with changes for this test: loopback addresses, the emulator
// as Bedrock, and the divided times.
func (c *cluster) configOf(p *pod, chart map[string]any) map[string]any {
	config := maps.Clone(chart)
	set := func(key string, members map[string]any) {
		merged := map[string]any{}
		if before, ok := config[key].(map[string]any); ok {
			maps.Copy(merged, before)
		}
		maps.Copy(merged, members)
		config[key] = merged
	}
	own := p.address
	if p.sidecar != nil {
		own = behind(own)
	}
	config["listen"] = fmt.Sprintf("%v:%d", own, c.port)
	set("admin", map[string]any{"listen": p.admin})
	set("bedrock", map[string]any{"region": "us-east-1", "endpoint_url": p.bedrockURL, "control_endpoint_url": p.bedrockURL, "extra_ca_file": c.bedrock.authority})
	set("drain", map[string]any{"lame_duck": milliseconds(p.life.lameDuck), "limit": milliseconds(p.life.drainLimit)})
	set("limits", map[string]any{"connection_age": milliseconds(c.connectionAge)})
	return config
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// probe opens a connection for each request, as a kubelet does.
var probe = http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (p *pod) ready() bool {
	answer, err := probe.Get("http://" + p.admin + "/readyz")
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// metric returns the value of a metric without labels.
func (p *pod) metric(name string) (float64, error) {
	answer, err := probe.Get("http://" + p.admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s", p.name, name)
}

// stop does what a kubelet does: it runs the preStop hook, sends SIGTERM and, after the grace
// period, SIGKILL. SIGKILL counts as a failure. A sidecar has no preStop hook.
func (p *pod) stop() ending {
	asked := time.Now()
	if p.sidecar != nil && !p.sidecar.native {
		p.proxy.signal(syscall.SIGTERM)
	}
	if p.endsWithin(p.life.preStop) {
		return ending{pod: p.name, code: p.status.ExitCode(), error: fmt.Errorf("ended before SIGTERM: %w", p.died())}
	}
	told := time.Now()
	p.signal(syscall.SIGTERM)
	end := ending{pod: p.name}
	if !p.endsWithin(p.life.grace - time.Since(asked)) {
		p.kill()
		end.error = fmt.Errorf("%s: SIGKILL was needed after %v", p.name, p.life.grace)
	}
	end.took, end.code = time.Since(told), p.status.ExitCode()
	if end.error == nil && end.code != 0 {
		end.error = fmt.Errorf("the exit code is not 0: %w", p.died())
	}
	if p.sidecar != nil {
		end.error = errors.Join(end.error, p.endSidecar(p.life.grace-time.Since(asked)))
	}
	return end
}
