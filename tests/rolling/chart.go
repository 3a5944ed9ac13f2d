package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// lifecycle describes how pods start and stop: the values that the chart renders, with every time
// divided by the same factor.
type lifecycle struct {
	replicas    int
	surge       int // The number of pods that an update may add to `replicas`.
	minReady    time.Duration
	probePeriod time.Duration
	preStop     time.Duration
	lameDuck    time.Duration
	drainLimit  time.Duration
	grace       time.Duration // The time from the deletion of the pod to SIGKILL.
	config      map[string]any
	checksum    string // If it changes, Kubernetes replaces the pods.
}

// rendered has the fields of the chart's objects that this test reads.
type rendered struct {
	Kind string
	Data map[string]string
	Spec struct {
		Replicas        int
		MinReadySeconds int `yaml:"minReadySeconds"`
		MaxUnavailable  any `yaml:"maxUnavailable"`
		Strategy        struct {
			RollingUpdate struct {
				MaxUnavailable any `yaml:"maxUnavailable"`
				MaxSurge       any `yaml:"maxSurge"`
			} `yaml:"rollingUpdate"`
		}
		Template struct {
			Metadata struct{ Annotations map[string]string }
			Spec     struct {
				GraceSeconds int `yaml:"terminationGracePeriodSeconds"`
				Containers   []container
			}
		}
	}
}

type container struct {
	Lifecycle struct {
		PreStop struct {
			Sleep struct{ Seconds int }
		} `yaml:"preStop"`
	}
	StartupProbe struct {
		PeriodSeconds int `yaml:"periodSeconds"`
	} `yaml:"startupProbe"`
}

// render runs Helm on the chart, with these values set.
func render(helm, root string, factor float64, set []string) (*lifecycle, error) {
	arguments := []string{"template", "rolling", filepath.Join(root, "helm/bedrock-grpc"), "--values", filepath.Join(root, "tests/rolling/values.yaml")}
	for _, each := range set {
		arguments = append(arguments, "--set", each)
	}
	helmed := exec.Command(helm, arguments...)
	helmed.Stderr = os.Stderr
	text, err := helmed.Output()
	if err != nil {
		return nil, fmt.Errorf("helm template: %w", err)
	}
	defaults, err := drainDefaults(filepath.Join(root, "examples/config.yaml"))
	if err != nil {
		return nil, err
	}

	life := &lifecycle{config: map[string]any{}}
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) / factor) }
	budget := false
	var grace time.Duration
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var object rendered
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("the output of helm template: %w", err)
		}
		switch spec := object.Spec; object.Kind {
		case "Deployment":
			pod := spec.Template.Spec
			life.replicas = spec.Replicas
			life.checksum = spec.Template.Metadata.Annotations["checksum/config"]
			life.minReady = scaled(seconds(spec.MinReadySeconds))
			life.preStop = scaled(seconds(pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds))
			life.probePeriod = scaled(seconds(pod.Containers[0].StartupProbe.PeriodSeconds))
			grace = seconds(pod.GraceSeconds)
			if fmt.Sprint(spec.Strategy.RollingUpdate.MaxUnavailable) != "0" {
				return nil, fmt.Errorf("maxUnavailable is %v; this test supports only 0", spec.Strategy.RollingUpdate.MaxUnavailable)
			}
			if life.surge, err = share(spec.Strategy.RollingUpdate.MaxSurge, spec.Replicas); err != nil {
				return nil, err
			}
		case "PodDisruptionBudget":
			budget = fmt.Sprint(spec.MaxUnavailable) == "1"
		case "ConfigMap":
			// There is another ConfigMap for the Job that checks the configuration.
			text, ok := object.Data["config.yaml"]
			if !ok {
				continue
			}
			if err := yaml.Unmarshal([]byte(text), &life.config); err != nil {
				return nil, err
			}
		}
	}
	if life.replicas == 0 || !budget || grace == 0 {
		return nil, errors.New("the chart rendered no Deployment with replicas and a disruption budget of one")
	}

	for name, into := range map[string]*time.Duration{"lame_duck": &life.lameDuck, "limit": &life.drainLimit} {
		*into = defaults[name]
		if drain, ok := life.config["drain"].(map[string]any); ok && drain[name] != nil {
			if *into, err = time.ParseDuration(fmt.Sprint(drain[name])); err != nil {
				return nil, err
			}
		}
	}
	// The time that the chart adds for the exit of the process is not divided.
	margin := grace - life.lameDuck - life.drainLimit - time.Duration(float64(life.preStop)*factor)
	life.lameDuck, life.drainLimit = scaled(life.lameDuck), scaled(life.drainLimit)
	life.grace = life.preStop + life.lameDuck + life.drainLimit + margin
	return life, nil
}

// drainDefaults returns the gateway's defaults, which examples/config.yaml shows.
func drainDefaults(path string) (map[string]time.Duration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var example struct{ Drain map[string]time.Duration }
	return example.Drain, yaml.Unmarshal(text, &example)
}

// share returns a number of pods. A percentage is rounded up, as Kubernetes does for maxSurge.
func share(value any, of int) (int, error) {
	text := fmt.Sprint(value)
	percent, isShare := strings.CutSuffix(text, "%")
	number, err := strconv.Atoi(percent)
	if isShare {
		number = (number*of + 99) / 100
	}
	return number, err
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func (l *lifecycle) String() string {
	return fmt.Sprintf("%d replicas, maxSurge %d, minReadySeconds %v, preStop %v, drain.lame_duck %v, drain.limit %v, terminationGracePeriodSeconds %v",
		l.replicas, l.surge, l.minReady, l.preStop, l.lameDuck, l.drainLimit, l.grace)
}
