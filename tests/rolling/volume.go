package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// volume is a mounted ConfigMap or Secret, written as a kubelet does: each version has a folder,
// and the symbolic link `..data` is replaced by renaming another one over it.
type volume struct {
	folder  string
	written int
}

func (v *volume) path(file string) string { return filepath.Join(v.folder, file) }

func (v *volume) write(files map[string][]byte) error {
	before := fmt.Sprintf("..%d", v.written)
	v.written++
	now := fmt.Sprintf("..%d", v.written)
	if err := os.MkdirAll(filepath.Join(v.folder, now), 0o755); err != nil {
		return err
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(v.folder, now, file), text, 0o644); err != nil {
			return err
		}
	}
	link, next := filepath.Join(v.folder, "..data"), filepath.Join(v.folder, "..data_tmp")
	if err := os.Symlink(now, next); err != nil {
		return err
	}
	if err := os.Rename(next, link); err != nil {
		return err
	}
	if v.written == 1 {
		for file := range files {
			if err := os.Symlink(filepath.Join("..data", file), v.path(file)); err != nil {
				return err
			}
		}
		return nil
	}
	return os.RemoveAll(filepath.Join(v.folder, before))
}
