package kvhttp

// The cost of a poll.

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// BenchmarkGetOperation is the handler's own time in GET operation: no network,
// storage in memory. It reports how many times as long that is as what the
// measurement itself costs: the same requests to a handler that does nothing.
func BenchmarkGetOperation(b *testing.B) {
	s := newService(b, options{})
	s.create("a", "Unknown")
	get := func(h http.Handler) {
		r := httptest.NewRequest("GET", "/certificates/a/pending"+v74, nil)
		r.Header.Set("Authorization", "Bearer "+s.token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		get(s.handler)
	}
	b.StopTimer()
	empty := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	start := time.Now()
	for range b.N {
		get(empty)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(time.Since(start)), "times-empty")
}
