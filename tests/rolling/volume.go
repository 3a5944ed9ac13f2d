package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// volume is a mounted ConfigMap, written as a kubelet does: each content has a folder, and the
// symbolic link `..data` is renamed over the one before.
type volume struct {
	folder  string
	written int
}

const configFile = "config.yaml"

func (v *volume) path() string { return filepath.Join(v.folder, configFile) }

func (v *volume) write(text []byte) error {
	before := fmt.Sprintf("..%d", v.written)
	v.written++
	now := fmt.Sprintf("..%d", v.written)
	if err := os.MkdirAll(filepath.Join(v.folder, now), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(v.folder, now, configFile), text, 0o644); err != nil {
		return err
	}
	link, next := filepath.Join(v.folder, "..data"), filepath.Join(v.folder, "..data_tmp")
	if err := os.Symlink(now, next); err != nil {
		return err
	}
	if err := os.Rename(next, link); err != nil {
		return err
	}
	if v.written == 1 {
		return os.Symlink(filepath.Join("..data", configFile), v.path())
	}
	return os.RemoveAll(filepath.Join(v.folder, before))
}
