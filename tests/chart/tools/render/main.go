// Renders the chart with many sets of values in one process, as `helm template` does with each.
//
//	render CHART <sets >results
//
// Both have one JSON document on each line. A set has a release, a namespace, a Kubernetes version
// and values. A result has the rendered objects as YAML, or the error.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

type set struct {
	Release    string         `json:"release"`
	Namespace  string         `json:"namespace"`
	Kubernetes string         `json:"kubernetes"`
	Values     map[string]any `json:"values"`
}

type result struct {
	Manifest string `json:"manifest,omitempty"`
	Notes    string `json:"notes,omitempty"`
	Error    string `json:"error,omitempty"`
}

func render(chart *chart.Chart, schema *jsonschema.Schema, each set) result {
	options := chartutil.ReleaseOptions{Name: each.Release, Namespace: each.Namespace, Revision: 1, IsInstall: true}
	version, err := chartutil.ParseKubeVersion(each.Kubernetes)
	if err != nil {
		return result{Error: err.Error()}
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	// Helm would compile the schema again for each set, which takes longer than all the rest.
	values, err := chartutil.ToRenderValuesWithSchemaValidation(chart, each.Values, options, capabilities, true)
	if err != nil {
		return result{Error: err.Error()}
	}
	if err := schema.Validate(map[string]any(values["Values"].(chartutil.Values))); err != nil {
		return result{Error: err.Error()}
	}
	files, err := engine.Render(chart, values)
	if err != nil {
		return result{Error: err.Error()}
	}
	var manifest strings.Builder
	notes := ""
	for name, text := range files {
		switch {
		case strings.HasSuffix(name, "NOTES.txt"):
			notes = text
		case !strings.HasPrefix(path.Base(name), "_"):
			manifest.WriteString("\n---\n" + text)
		}
	}
	return result{Manifest: manifest.String(), Notes: notes}
}

func compile(text []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("values.schema.json", document); err != nil {
		return nil, err
	}
	return compiler.Compile("values.schema.json")
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: render CHART <sets >results")
	}
	loaded, err := loader.Load(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	schema, err := compile(loaded.Schema)
	if err != nil {
		log.Fatal(err)
	}
	var sets []set
	decoder := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var each set
		if err := decoder.Decode(&each); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		sets = append(sets, each)
	}
	results := make([]result, len(sets))
	indices := make(chan int)
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for index := range indices {
				results[index] = render(loaded, schema, sets[index])
			}
		}()
	}
	for index := range sets {
		indices <- index
	}
	close(indices)
	workers.Wait()
	output := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(output)
	for _, each := range results {
		if err := encoder.Encode(each); err != nil {
			log.Fatal(err)
		}
	}
	if err := output.Flush(); err != nil {
		log.Fatal(err)
	}
}
