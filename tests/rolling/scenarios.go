package main

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
)

// drill runs scenarios: events that happen to the pods under load, each with what clients may see
// of it.
type drill struct {
	*cluster
	*options
	load   *load
	render func(set ...string) (*lifecycle, error)
	wrong  []string
}

// scenario runs one event, prints what clients saw, and compares it with the expectation. It begins
// at rest: the load has started, and clients have resolved all pods.
func (d *drill) scenario(title string, happens func() (string, error), expect func(*tally) []string) error {
	if err := d.load.awaitRest(d.streams, d.pods); err != nil {
		return fmt.Errorf("before %q: %w\n%v", title, err, d.load.take())
	}
	d.between()
	begun := time.Now()
	said, err := happens()
	saw := d.load.take()
	fmt.Printf("\n%s (%.0f s)\n", title, time.Since(begun).Seconds())
	if said != "" {
		fmt.Printf("  %s\n", said)
	}
	fmt.Print(saw)
	if err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	for _, p := range d.pods {
		if p.hasEnded() {
			return fmt.Errorf("%s: %w", title, p.died())
		}
	}
	wrong := expect(saw)
	if len(wrong) == 0 {
		fmt.Println("  as expected")
	}
	for _, each := range wrong {
		fmt.Printf("  WRONG: %s\n", each)
		d.wrong = append(d.wrong, title+": "+each)
	}
	return nil
}

// between checks what clients saw since the last scenario.
func (d *drill) between() {
	saw := d.load.take()
	if len(saw.broken)+len(saw.failed) > 0 {
		fmt.Printf("\nWRONG: between two scenarios\n%v", saw)
		d.wrong = append(d.wrong, "calls failed between two scenarios")
	}
}

// drained waits until the deleted pods have exited and clients have read their last messages.
func (d *drill) drained() (string, error) {
	ends, err := d.gone()
	if err != nil {
		return "", err
	}
	return summary(ends), d.load.await("no open stream on a pod that has ended", func() bool {
		open := 0
		for _, p := range d.pods {
			open += d.load.open[p.address.String()]
		}
		return open == d.load.total()
	})
}

// nothing returns deviations from the expectation that clients notice nothing, not even a retry.
func nothing(saw *tally) []string {
	wrong := append(noneBroken(saw), noneFailed(saw)...)
	if len(saw.retried) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d attempts failed and were retried by the retryPolicy", len(saw.retried)))
	}
	return wrong
}

func noneBroken(saw *tally) (wrong []string) {
	if len(saw.broken) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d streams broke", len(saw.broken)))
	}
	return wrong
}

func noneFailed(saw *tally) (wrong []string) {
	if len(saw.failed) > 0 {
		wrong = append(wrong, fmt.Sprintf("%d calls failed before the first event", len(saw.failed)))
	}
	if saw.streams == 0 || saw.calls == 0 {
		wrong = append(wrong, "there were no calls, so the scenario tests nothing")
	}
	return wrong
}

func (d *drill) all() error {
	scenarios := []func() error{d.rollingUpdates, d.configChanges, d.certificateChanges, d.meshes, d.allNodesWithHook, d.allNodes, d.scaleIn, d.nodeDrain, d.crashOfOne, d.drainLimit, d.secondSIGTERM}
	if d.onlyUpdates {
		scenarios = scenarios[:1]
	}
	for _, scenario := range scenarios {
		if err := scenario(); err != nil {
			return err
		}
	}
	return nil
}

// rollingUpdates replaces all pods repeatedly. Updates to the chart's defaults and to a preStop
// hook alternate.
func (d *drill) rollingUpdates() error {
	plain := d.life
	withHook, err := d.render("preStop.sleepSeconds=60")
	if err != nil {
		return err
	}
	title := fmt.Sprintf("%d consecutive rolling updates, every second one to a preStop of 60 s (here %v)", d.updates, withHook.preStop)
	return d.scenario(title, func() (string, error) {
		for n := range d.updates {
			d.life = plain
			// The last update has the hook.
			if (d.updates-n)%2 == 1 {
				d.life = withHook
			}
			if err := d.update(); err != nil {
				return "", err
			}
		}
		return d.drained()
	}, func(saw *tally) []string {
		fmt.Printf("  at least %d streams were open at any moment\n", saw.least)
		wrong := nothing(saw)
		if saw.least < d.streams && !d.short {
			wrong = append(wrong, fmt.Sprintf("fewer than %d streams were open", d.streams))
		}
		if pods := d.life.replicas * (d.updates + 1); len(saw.served) < pods {
			wrong = append(wrong, fmt.Sprintf("%d of %d pods got calls", len(saw.served), pods))
		}
		return wrong
	})
}

func (d *drill) scaleIn() error {
	err := d.scenario("scale-in, 3 pods to 2", func() (string, error) {
		going := d.pods[0]
		open := d.load.openOn()[going.address.String()]
		d.remove(going)
		ends, err := d.drained()
		return fmt.Sprintf("%d streams were open on the pod; %s", open, ends), err
	}, nothing)
	if err != nil {
		return err
	}
	_, err = d.add()
	return err
}

func (d *drill) nodeDrain() error {
	return d.scenario("node drain, two of 3 pods evicted one after the other", func() (string, error) { return d.evicted(2) }, nothing)
}

// allNodesWithHook drains all nodes at once. The preStop hook gives clients the time to resolve the
// new pods. Clients that check health leave the old pods earlier than a GOAWAY makes them resolve
// again, by drain.lame_duck. Retries are allowed for that reason.
func (d *drill) allNodesWithHook() (err error) {
	if d.life, err = d.render(); err != nil {
		return err
	}
	return d.scenario("drain of all nodes at once, all pods evicted one after the other, from a preStop of 60 s", func() (string, error) {
		return d.evicted(d.life.replicas)
	}, func(saw *tally) []string { return append(noneBroken(saw), noneFailed(saw)...) })
}

// allNodes is the same without the hook. Clients that resolved the name just before may have no pod
// for a while. The output shows their failed calls, which are not an error.
func (d *drill) allNodes() error {
	return d.scenario("the same without a preStop", func() (string, error) { return d.evicted(d.life.replicas) }, noneBroken)
}

// evicted evicts the oldest pods, as fast as the disruption budget allows: it waits for each
// replacement to be ready before it evicts the next pod.
func (d *drill) evicted(count int) (string, error) {
	for _, p := range slices.Clone(d.pods[:count]) {
		if err := d.evict(p); err != nil {
			return "", err
		}
	}
	return d.drained()
}

func (d *drill) crashOfOne() error {
	crashed := d.pods[0].address.String()
	return d.scenario("crash, SIGKILL of one pod of 3", func() (string, error) {
		open := d.load.openOn()[crashed]
		var noticed error
		again, err := d.crash(d.pods[0], func() {
			noticed = d.load.await("no stream on the crashed pod", func() bool { return d.load.open[crashed] == 0 })
		})
		if err := errors.Join(noticed, err); err != nil {
			return "", err
		}
		before := 0
		err = d.load.await("calls on the pod that was started again", func() bool {
			if before == 0 {
				before = d.load.tally.served[crashed]
			}
			return d.load.tally.served[crashed] > before
		})
		return fmt.Sprintf("%d streams were open on the pod; after its restart, %s got calls again", open, again.name), err
	}, func(saw *tally) []string {
		return append(onlyOn(crashed, "", saw), noneFailed(saw)...)
	})
}

// drainLimit deletes a pod whose streams are longer than drain.limit.
func (d *drill) drainLimit() (err error) {
	if d.life, err = d.render("config.drain.limit=60s"); err != nil {
		return err
	}
	title := fmt.Sprintf("an update to a drain.limit of 60 s (here %v)", d.life.drainLimit)
	if err := d.scenario(title, func() (string, error) {
		if err := d.update(); err != nil {
			return "", err
		}
		return d.drained()
	}, nothing); err != nil {
		return err
	}
	going := d.pods[0]
	return d.scenario("a pod with streams longer than drain.limit is deleted", func() (string, error) {
		open := d.load.openOn()[going.address.String()]
		if err := d.evict(going); err != nil {
			return "", err
		}
		ends, err := d.drained()
		return fmt.Sprintf("%d streams were open on the pod; %s, of a grace period of %v", open, ends, d.life.grace), err
	}, func(saw *tally) []string {
		return append(onlyOn(going.address.String(), "DRAINING", saw), noneFailed(saw)...)
	})
}

func (d *drill) secondSIGTERM() error {
	going := d.pods[0]
	return d.scenario("a second SIGTERM while a pod drains", func() (string, error) {
		open := d.load.openOn()[going.address.String()]
		if err := d.evict(going); err != nil {
			return "", err
		}
		// The pod must have handled the first signal: two pending signals count as one.
		for deadline := time.Now().Add(patience); going.ready(); {
			if going.endsWithin(going.life.probePeriod) || time.Now().After(deadline) {
				return "", fmt.Errorf("ready after SIGTERM: %w", going.died())
			}
		}
		going.signal(syscall.SIGTERM)
		ends, err := d.drained()
		if err != nil {
			return "", err
		}
		// The pod ends within milliseconds, in which no stream of another pod needs to end.
		err = d.load.await("a stream and another call that end successfully", func() bool {
			return d.load.tally.streams > 0 && d.load.tally.calls > 0
		})
		return fmt.Sprintf("%d streams were open on the pod; %s", open, ends), err
	}, func(saw *tally) []string {
		return append(onlyOn(going.address.String(), "DRAINING", saw), noneFailed(saw)...)
	})
}

// onlyOn returns deviations from the expectation that only streams on this pod broke, with
// UNAVAILABLE and this reason.
func onlyOn(replica, reason string, saw *tally) (wrong []string) {
	if len(saw.broken) == 0 {
		wrong = append(wrong, "no stream broke, so the scenario tests nothing")
	}
	for _, f := range saw.broken {
		if f.replica != replica {
			wrong = append(wrong, fmt.Sprintf("a stream on another pod broke: %v", f))
		} else if f.code != codes.Unavailable || f.reason != reason {
			wrong = append(wrong, fmt.Sprintf("a stream ended with another status: %v", f))
		}
	}
	return wrong
}
