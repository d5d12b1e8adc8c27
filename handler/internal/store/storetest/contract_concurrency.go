package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/certwright/certwright/handler/internal/store"
)

const (
	writers = 8
	rounds  = 10
)

// concurrencyTests are about several writers at once.
var concurrencyTests = []contractTest{
	{"OneOfManyAdds", func(s *subject) {
		for round := range rounds {
			s.oneWins(func(writer int) []store.Action {
				return []store.Action{add(fmt.Sprint("c:", round), fmt.Sprint(writer))}
			})
		}
	}},

	{"OneOfManyReplaces", func(s *subject) {
		s.mustCommit(add("c:a", `0`))
		for range rounds {
			etag := s.mustGet("c:a").ETag
			s.oneWins(func(writer int) []store.Action {
				return []store.Action{replace("c:a", etag, fmt.Sprint(writer))}
			})
		}
	}},

	{"OneOfManyTransactions", func(s *subject) {
		s.mustCommit(add("c:a", `0`))
		for round := range rounds {
			etag := s.mustGet("c:a").ETag
			s.oneWins(func(writer int) []store.Action {
				return []store.Action{
					add(fmt.Sprintf("d:%d:%d", round, writer), `1`),
					replace("c:a", etag, fmt.Sprint(writer)),
				}
			})
		}
		if got := len(s.mustScan(store.Range{From: "d:", To: "d;", Limit: rounds * writers})); got != rounds {
			s.Errorf("%d transactions won and left %d rows", rounds, got)
		}
	}},

	// The counter shows what a lost update would hide.
	{"NoLostUpdate", func(s *subject) {
		s.mustCommit(add("c:a", `0`))
		s.together(func(int) {
			for won := 0; won < rounds; {
				row, err := s.Get(s.Context(), "c:a")
				if err != nil {
					s.Error(err)
					return
				}
				var n int
				if err := json.Unmarshal(row.Doc, &n); err != nil {
					s.Error(err)
					return
				}
				_, err = s.Commit(s.Context(), store.Tx{Actions: []store.Action{replace("c:a", row.ETag, fmt.Sprint(n+1))}})
				switch {
				case err == nil:
					won++
				case !isConflict(err):
					s.Error(err)
					return
				}
			}
		})
		s.wantRow("c:a", "", fmt.Sprint(writers*rounds))
	}},
}

// together runs f in every writer and waits for them.
func (s *subject) together(f func(writer int)) {
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() { f(writer) })
	}
	all.Wait()
}

// oneWins commits every writer's actions at once and demands that one succeeds
// and the others meet a conflict.
func (s *subject) oneWins(actions func(writer int) []store.Action) {
	s.Helper()
	var won atomic.Int32
	s.together(func(writer int) {
		_, err := s.Commit(s.Context(), store.Tx{Actions: actions(writer)})
		if err == nil {
			won.Add(1)
		} else if !isConflict(err) {
			s.Errorf("writer %d: %v, want a conflict", writer, err)
		}
	})
	if won.Load() != 1 {
		s.Errorf("%d of %d writers won, want one", won.Load(), writers)
	}
}

func isConflict(err error) bool {
	var conflict *store.ConflictError
	return errors.As(err, &conflict)
}
