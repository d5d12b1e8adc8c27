package memory

// The sorted keys against a model.

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestSortedKeys compares them with a sorted slice, over several blocks.
func TestSortedKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var keys sortedKeys
		var want []string
		number := rapid.IntRange(0, 3*maxBlock)
		for range rapid.IntRange(0, 8).Draw(t, "runs") {
			first, many, add := number.Draw(t, "first"), number.Draw(t, "many"), rapid.Bool().Draw(t, "add")
			for i := range many {
				key := strconv.Itoa((first + i*7) % (4 * maxBlock))
				at, present := slices.BinarySearch(want, key)
				switch {
				case add && !present:
					want = slices.Insert(want, at, key)
				case !add && present:
					want = slices.Delete(want, at, at+1)
				}
				if add {
					keys.add(key)
				} else {
					keys.remove(key)
				}
			}
			from := strconv.Itoa(first)
			at, _ := slices.BinarySearch(want, from)
			if diff := cmp.Diff(append([]string{}, want[at:]...), slices.AppendSeq([]string{}, keys.from(from))); diff != "" {
				t.Fatalf("keys from %q (-want +got):\n%s", from, diff)
			}
		}
		for _, b := range keys.blocks {
			if len(b) == 0 || len(b) > maxBlock {
				t.Fatalf("a block of %d keys", len(b))
			}
		}
	})
}
