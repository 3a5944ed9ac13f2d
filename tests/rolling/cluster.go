package main

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// cluster does what Kubernetes' controllers do with the pods of one Deployment.
type cluster struct {
	binary        string
	directory     string
	bedrock       *bedrock
	names         *headlessService
	life          *lifecycle
	port          int
	adminPort     int
	connectionAge time.Duration
	minimumDrain  time.Duration
	sidecar       *sidecar // That of pods which are started next. nil: none.

	pods []*pod // The pods of the Service, the oldest first.
	made int

	leaving sync.WaitGroup
	mu      sync.Mutex
	endings []ending
}

// nextAddress returns an address that no pod has had before. Addresses are not used again.
func (c *cluster) nextAddress() netip.Addr {
	c.made++
	return netip.AddrFrom4([4]byte{127, 1, byte(c.made / 250), byte(1 + c.made%250)})
}

// add starts a pod, waits until it is ready, and adds it to the Service.
func (c *cluster) add() (*pod, error) {
	p, err := c.startPod(c.nextAddress())
	if err != nil {
		return nil, err
	}
	c.pods = append(c.pods, p)
	c.names.add(p.address)
	return p, nil
}

// remove deletes a pod. It removes the pod from the Service, and stops it in the background, as a
// kubelet does.
func (c *cluster) remove(p *pod) {
	c.pods = slices.DeleteFunc(c.pods, func(each *pod) bool { return each == p })
	c.names.remove(p.address)
	c.leaving.Go(func() {
		end := p.stop()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.endings = append(c.endings, end)
	})
}

// update replaces all pods like a Deployment's rolling update with maxUnavailable 0. New pods start
// first, and the next step follows when they have been ready for minReadySeconds. It does not wait
// for old pods to end.
func (c *cluster) update() error {
	for old := slices.Clone(c.pods); len(old) > 0; {
		count := min(c.life.surge, len(old))
		for range count {
			if _, err := c.add(); err != nil {
				return err
			}
		}
		time.Sleep(c.life.minReady)
		for _, p := range old[:count] {
			c.remove(p)
		}
		old = old[count:]
	}
	return nil
}

// evict deletes a pod as a node drain does. Its replacement starts after the deletion, not before.
func (c *cluster) evict(p *pod) error {
	c.remove(p)
	_, err := c.add()
	return err
}

// crash kills a pod's process and starts another one, as a kubelet does. The pod keeps its address.
func (c *cluster) crash(p *pod, seen func()) (*pod, error) {
	p.kill()
	c.names.remove(p.address)
	seen()
	again, err := c.startPod(p.address)
	if err != nil {
		return nil, err
	}
	c.pods[slices.Index(c.pods, p)] = again
	c.names.add(p.address)
	return again, nil
}

// gone waits until the deleted pods have ended, and returns how each of them ended.
func (c *cluster) gone() ([]ending, error) {
	c.leaving.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := c.endings
	c.endings = nil
	for _, end := range ends {
		if end.error != nil {
			return ends, end.error
		}
	}
	return ends, nil
}

// close ends all processes that still run.
func (c *cluster) close() {
	for _, p := range c.pods {
		p.kill()
		if p.proxy != nil {
			p.proxy.kill()
		}
	}
	c.leaving.Wait()
	c.bedrock.kill()
}

func summary(ends []ending) string {
	var longest time.Duration
	for _, end := range ends {
		longest = max(longest, end.took)
	}
	return fmt.Sprintf("%d pods exited with code 0, without SIGKILL; the longest drain took %.1f s", len(ends), longest.Seconds())
}
