package vault

// Invariants of rows, for every search.

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/certwright/certwright/handler/internal/bounded"
	"github.com/certwright/certwright/handler/internal/store"
)

// Invariants checks what must hold between the rows, in key order, and blobs of a
// vault after every transaction, and returns everything that does not.
func Invariants(rows []store.Row, blobs map[string][]byte) error {
	byKey := make(map[string]store.Row)
	for _, r := range rows {
		byKey[r.Key] = r
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	expected := make(map[string]bool) // due rows, markers, keys and versions that have a reason to be there
	for _, r := range rows {
		switch {
		case strings.HasPrefix(r.Key, "c:"):
			h := new(head)
			if err := store.Decode(r, h); err != nil {
				wrong("%v", err)
				continue
			}
			checkHead(h, r, rows, byKey, blobs, expected, wrong)
		case strings.HasPrefix(r.Key, "r:"):
			j := new(releaseJob)
			if err := store.Decode(r, j); err != nil {
				wrong("%v", err)
				continue
			}
			checkDues(r.Key, j, byKey, expected, wrong)
		case strings.HasPrefix(r.Key, "w:"):
			rev := new(revocationRow)
			if err := store.Decode(r, rev); err != nil {
				wrong("%v", err)
				continue
			}
			checkDues(r.Key, rev, byKey, expected, wrong)
		case strings.HasPrefix(r.Key, "q:"):
			q := new(removal)
			if err := store.Decode(r, q); err != nil {
				wrong("%v", err)
				continue
			}
			checkDues(r.Key, q, byKey, expected, wrong)
		case strings.HasPrefix(r.Key, "e:"):
			d := new(delivery)
			if err := store.Decode(r, d); err != nil {
				wrong("%v", err)
				continue
			}
			if r.Key != d.key() || d.Event.ID == "" || d.Event.Certificate == "" || d.Event.Type == "" {
				wrong("row %s is a delivery of %+v to %q", r.Key, d.Event, d.Destination)
			}
			checkDues(r.Key, d, byKey, expected, wrong)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(expected)) {
		if _, ok := byKey[key]; !ok {
			wrong("row %s is missing", key)
		}
	}
	for _, r := range rows {
		if strings.ContainsAny(r.Key[:1], "vkdx") && !expected[r.Key] {
			wrong("row %s belongs to nothing", r.Key)
		}
	}
	return errors.Join(errs...)
}

// under are the rows, of some in key order, whose keys begin with prefix.
func under(rows []store.Row, prefix string) []store.Row {
	first, _ := slices.BinarySearchFunc(rows, prefix, func(r store.Row, prefix string) int { return strings.Compare(r.Key, prefix) })
	n := slices.IndexFunc(rows[first:], func(r store.Row) bool { return !strings.HasPrefix(r.Key, prefix) })
	if n < 0 {
		return rows[first:]
	}
	return rows[first : first+n]
}

// checkDues checks the due rows of a document with a row of its own.
func checkDues(key string, w worker, byKey map[string]store.Row, expected map[string]bool, wrong func(string, ...any)) {
	checkList(key, w.due(), w.list(), byKey, expected, wrong)
}

// checkList checks that a document's list is of the due rows that it must have, and
// that each is there with its label.
func checkList(key string, wanted []due, list *dueList, byKey map[string]store.Row, expected map[string]bool, wrong func(string, ...any)) {
	if !list.lists(wanted) {
		wrong("row %s has the due rows %v on its list, and must have %v", key, list.Dues, wanted)
	}
	for _, d := range wanted {
		expected[d.key()] = true
		if r, ok := byKey[d.key()]; ok && r.Label != d.label {
			wrong("row %s has the label %q, want %q", r.Key, r.Label, d.label)
		}
	}
}

func checkHead(h *head, r store.Row, rows []store.Row, byKey map[string]store.Row, blobs map[string][]byte, expected map[string]bool, wrong func(string, ...any)) {
	n := Name{h.Name}
	if r.Key != headKey(n) || r.Label != h.label() {
		wrong("head %s has label %q and name %q", r.Key, r.Label, h.Name)
	}
	checkList(r.Key, h.due(n), &h.dueList, byKey, expected, wrong)
	if h.Deletion != nil && !h.Purging {
		expected[markerKey(n)] = true
	}
	partial := h.Purging || h.Restore != nil // rows go or come
	if h.Restore != nil && (h.Operation != nil || h.Deletion != nil) {
		wrong("%s is being restored and in another state too", h.Name)
	}
	if op := h.Operation; op != nil && !partial {
		expected[keyRowKey(n, op.KeyID)] = true
		if op.Status == StatusFailed && (op.Error == nil || op.Error.Code == "" || op.Error.Message == "") {
			wrong("%s failed without an error", h.Name)
		}
		if op.Status == StatusCompleted && h.Latest == nil {
			wrong("%s completed without a version", h.Name)
		}
	}
	versions := 0
	for _, row := range under(rows, versionKey(n, "")) {
		versions++
		expected[row.Key] = true
		ver := new(version)
		if err := store.Decode(row, ver); err != nil {
			wrong("%v", err)
			continue
		}
		if !partial {
			expected[keyRowKey(n, ver.KeyID)] = true
		}
		if err := checkVersion(ver, strings.TrimPrefix(row.Key, versionKey(n, "")), blobs); err != nil && !partial {
			wrong("%s: %v", row.Key, err)
		}
	}
	if partial {
		for _, row := range under(rows, keyRowKey(n, "")) {
			expected[row.Key] = true
		}
		return
	}
	if (h.Latest == nil) != (versions == 0) {
		wrong("%s has %d versions, and a latest one: %v", h.Name, versions, h.Latest != nil)
	}
	if h.Latest != nil {
		if h.Told.Version != h.Latest.ID {
			wrong("%s: version %s is latest and %s watched", h.Name, h.Latest.ID, h.Told.Version)
		}
		copied := store.NewRow(versionKey(n, h.Latest.ID), "", h.Latest)
		if stored := byKey[copied.Key]; !bytes.Equal(stored.Doc, copied.Doc) {
			wrong("%s: the head's copy differs from row %s", h.Name, copied.Key)
		}
	}
}

// checkVersion compares a version's leaf with its chain blob.
func checkVersion(ver *version, id string, blobs map[string][]byte) error {
	block, _ := pem.Decode(blobs[ver.Chain])
	if ver.ID != id || block == nil {
		return fmt.Errorf("version %s has no chain blob %s", ver.ID, ver.Chain)
	}
	if !bytes.Equal(block.Bytes, ver.Leaf) {
		return errors.New("the leaf differs from its chain blob")
	}
	_, err := bounded.Certificate(ver.Leaf)
	return err
}

// MaxMakings is how many RSA keys are made at once.
func MaxMakings() int { return maxMakings() }
