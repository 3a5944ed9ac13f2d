package main

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	generation = "bedrock_grpc_config_generation"
	successful = "bedrock_grpc_config_last_reload_successful"
	// inEffect is the maximum time from the kubelet's write to the effect of a change. A change
	// usually takes less than a second, even on a loaded machine. This time is not divided by the
	// factor.
	inEffect = 5 * time.Second
)

// configChanges changes the config of running pods repeatedly. Every fourth change is invalid, and
// the pods refuse it.
func (d *drill) configChanges() error {
	title := fmt.Sprintf("%d changes of the config, every fourth one wrong, without a restart", d.changes)
	return d.scenario(title, func() (string, error) {
		before := slices.Clone(d.pods)
		var longest time.Duration
		refused := 0
		for n := range d.changes {
			life, err := d.render(fmt.Sprintf("config.targets.claude.description=change-%d", n))
			if err != nil {
				return "", err
			}
			if life.checksum != d.life.checksum {
				return "", fmt.Errorf("the chart replaces pods if only a description changes")
			}
			config, metric, expected := life.config, generation, func(before float64) float64 { return before + 1 }
			if n%4 == 3 {
				config = maps.Clone(config)
				config["a_key_of_a_newer_version"] = n
				metric, expected = successful, func(float64) float64 { return 0 }
				refused++
			}
			for _, p := range d.pods {
				took, err := d.change(p, config, metric, expected)
				if err != nil {
					return "", err
				}
				longest = max(longest, took)
			}
		}
		for _, p := range d.pods {
			if _, err := d.change(p, p.life.config, generation, func(before float64) float64 { return before + 1 }); err != nil {
				return "", err
			}
			if ok, err := p.metric(successful); err != nil {
				return "", err
			} else if ok != 1 {
				return "", fmt.Errorf("%s: %s is %v after a valid change", p.name, successful, ok)
			}
		}
		if !slices.Equal(before, d.pods) {
			return "", fmt.Errorf("pods were replaced")
		}
		if longest > inEffect {
			return "", fmt.Errorf("a change took %v; at most %v is expected", longest, inEffect)
		}
		said := fmt.Sprintf("%d changes on each of %d pods, %d of them refused; the longest took %.1f s", d.changes, len(before), refused, longest.Seconds())
		return said, d.load.await("streams that end successfully in the meantime", func() bool { return d.load.tally.streams >= d.streams/10 })
	}, nothing)
}

// change writes a pod's config, and returns how long it took until a metric showed it.
func (d *drill) change(p *pod, config map[string]any, metric string, expected func(float64) float64) (time.Duration, error) {
	before, err := p.metric(metric)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := d.configure(p, config); err != nil {
		return 0, err
	}
	for {
		now, err := p.metric(metric)
		took := time.Since(begun)
		switch {
		case err != nil:
			return 0, err
		case now == expected(before):
			return took, nil
		case took > patience:
			return 0, fmt.Errorf("%s: %s is %v %v after a change of the config; its log: %s", p.name, metric, now, took, p.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
