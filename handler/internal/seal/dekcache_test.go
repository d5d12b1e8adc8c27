package seal

// The cache of data encryption keys against a model.

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestDEKCacheAgainstModel compares the cache with a list searched from the end.
func TestDEKCacheAgainstModel(t *testing.T) {
	t.Parallel()
	const limit, maxAge = 4, 10 * time.Second
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			id  byte
			dek byte
			at  time.Time
		}
		now := time.Unix(0, 0)
		cache := newDEKCache(limit, maxAge, func() time.Time { return now })
		var model []entry // least recently used first
		take := func(id byte) (entry, bool) {
			i := slices.IndexFunc(model, func(e entry) bool { return e.id == id })
			if i < 0 {
				return entry{}, false
			}
			e := model[i]
			model = slices.Delete(model, i, i+1)
			return e, true
		}
		id := rapid.ByteRange(0, 7)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := entry{id.Draw(t, "id"), rapid.Byte().Draw(t, "dek"), now}
				cache.put(dekID{e.id}, []byte{e.dek})
				take(e.id)
				model = append(model, e)
				model = model[max(0, len(model)-limit):]
			},
			"get": func(t *rapid.T) {
				id := id.Draw(t, "id")
				e, want := take(id)
				want = want && now.Sub(e.at) < maxAge
				if want {
					model = append(model, e)
				}
				got, ok := cache.get(dekID{id})
				if ok != want || ok && got[0] != e.dek {
					t.Fatalf("get(%d) = %v, %v, want %v, %v", id, got, ok, e.dek, want)
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 5).Draw(t, "seconds")) * time.Second)
			},
			"": func(t *rapid.T) {
				if len(cache.entries) != cache.recent.Len() || cache.recent.Len() > limit {
					t.Fatalf("%d entries, %d in order, limit %d", len(cache.entries), cache.recent.Len(), limit)
				}
			},
		})
	})
}
