// Package checkout knows the places of a working copy of Certwright: its root,
// and `.local`, the ignored folder that holds everything that was generated for
// this copy alone (keys, certificates, storage data, installed tools).
package checkout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/certwright/certwright/handler/localcloud/state"
)

// module is the first line of the go.mod that marks the root.
const module = "module github.com/certwright/certwright"

// Checkout is one working copy.
type Checkout struct {
	// Root is the absolute path of the folder that holds go.mod.
	Root string
}

// Find returns the working copy that dir lies in.
func Find(dir string) (Checkout, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return Checkout{}, fmt.Errorf("finding the working copy above %q: %w", dir, err)
	}
	for at := start; ; at = filepath.Dir(at) {
		content, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil && isModule(content) {
			return Checkout{Root: at}, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Checkout{}, fmt.Errorf("finding the working copy above %q: %w", dir, err)
		}
		if at == filepath.Dir(at) {
			return Checkout{}, fmt.Errorf("finding the working copy above %q: no go.mod of Certwright", start)
		}
	}
}

// OrHere is c or, when that is zero, the working copy that the working directory
// lies in.
func (c Checkout) OrHere() (Checkout, error) {
	if c.Root != "" {
		return c, nil
	}
	return Find(".")
}

func isModule(goMod []byte) bool {
	return len(goMod) > len(module) && string(goMod[:len(module)]) == module && goMod[len(module)] == '\n'
}

// State is `.local`.
func (c Checkout) State() state.Folder {
	return state.Folder(filepath.Join(c.Root, ".local"))
}

// Local returns the path of a file below `.local`.
func (c Checkout) Local(elem ...string) string { return c.State().Path(elem...) }
